"""Subqueries with values of their own: they have plans, and are Django's otherwise."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from tests.orm.plans.planning import catalogue, queries_of, thrice
from tests.records.models import Album, Artist, Track
from vinyl.orm import run
from vinyl.orm.plans import subqueries, trails

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
]


def tracks(position: int) -> Any:
    return Track.objects.filter(album=OuterRef("pk"), position=position)


SHAPES: dict[str, Callable[[int], Any]] = {
    "annotate": lambda n: Album.objects.annotate(x=Exists(tracks(n))),
    "filter": lambda n: Album.objects.filter(Exists(tracks(n)), year__gte=n),
    "not": lambda n: Album.objects.filter(~Exists(tracks(n)) | Q(year=n)),
    "twice": lambda n: Album.objects.annotate(
        x=Exists(tracks(n)), y=Exists(tracks(n + 1))
    ),
    "in a queryset": lambda n: Album.objects.filter(
        pk__in=Track.objects.filter(position=n, album__year__gt=0).values("album")
    ),
    "of a relation": lambda n: Album.objects.filter(
        artist__in=Artist.objects.filter(albums__year=n)
    ),
    "of a manager": lambda n: Album.objects.filter(
        pk__in=Artist.objects.get().albums.filter(year__gt=n)
    ),
    "value": lambda n: Album.objects.annotate(
        x=Coalesce(Subquery(tracks(n).values("title")[:1]), Value("none"))
    ).filter(x__gt=str(n - 1)),
    "count": lambda n: Album.objects.annotate(
        x=Subquery(
            Track.objects.filter(album=OuterRef("pk"), position__gte=n)
            .order_by()
            .values("album")
            .annotate(number=Count("pk"))
            .values("number")
        )
    ).order_by(F("x").desc(nulls_last=True), "pk"),
    "case": lambda n: Album.objects.annotate(
        x=Case(When(Exists(tracks(n)), then=Value(1)), default=Value(0))
    ),
    "nested": lambda n: Album.objects.filter(
        Exists(tracks(n).filter(album__in=Album.objects.filter(year__lt=n + 2)))
    ),
    "exclude": lambda n: Album.objects.exclude(tracks__title=str(n), year=n),
    "order_by": lambda n: Album.objects.order_by(Exists(tracks(n)), "-year").distinct(),
    "group by": lambda n: (
        Album.objects.annotate(x=Exists(tracks(n))).values("x").annotate(c=Count("pk"))
    ),
}


@pytest.mark.parametrize("make", [*SHAPES.values()], ids=[*SHAPES])
def test_plans_are_for_other_values_too(
    make: Callable[[int], Any], used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue()

    def shown(n: int) -> Any:
        return queries_of(
            lambda: [
                one if isinstance(one, dict) else (one.year, getattr(one, "x", None))
                for one in make(n)
            ]
        )

    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = [shown(n) for n in range(3)]
    # The second one is made a plan of.
    assert [shown(n) for n in range(3)] == expected
    used.clear()
    assert [shown(n) for n in range(3)] == expected
    assert len(used) >= 3


async def test_they_need_no_bridge(used: list[str]) -> None:
    await run(catalogue)
    for n in (0, 1, 0):
        used.clear()
        albums = Album.objects.annotate(x=Exists(tracks(n)))
        album = await albums.get(pk__in=Album.objects.filter(year=n))
        assert (album.year, album.x) == (n, True)
    assert len(used) == 1


def test_the_same_instance_in_two_of_them(used: list[str]) -> None:
    catalogue()
    for _ in range(3):
        used.clear()
        artist = Artist.objects.get()
        by_artist = Album.objects.filter(artist=artist)
        found = Track.objects.filter(album__in=by_artist, album__artist=artist)
        assert found.count() == 6
    assert len(used) == 2


class TestSubqueries:
    @pytest.fixture
    def known(self) -> Callable[[], Any]:
        """Makes a condition whose query has not been built."""
        catalogue()

        def make() -> Any:
            return Exists(tracks(1))

        for _ in range(2):
            list(Album.objects.filter(make()))
        assert "query" not in vars(make())
        return make

    def test_have_a_query(self, known: Callable[[], Any]) -> None:
        assert "position" in str(known().query.where)
        assert known().query.subquery
        with pytest.raises(AttributeError, match="no attribute 'query'"):
            object.__new__(Exists).query  # noqa: B018

    def test_a_changed_query_counts(
        self, known: Callable[[], Any], used: list[str]
    ) -> None:
        condition = known()
        condition.query.set_empty()
        assert list(Album.objects.filter(condition)) == []
        other = known()
        other.query = Track.objects.filter(album=OuterRef("pk")).query.exists()
        assert len(Album.objects.filter(other)) == 3
        assert used == []

    def test_can_be_copied(self, known: Callable[[], Any]) -> None:
        for one in (
            pickle.loads(pickle.dumps(known())),
            copy.deepcopy(known()),
            copy.copy(known()),
            known().copy(),
            copy.copy(copy.deepcopy(known())),
        ):
            assert len(Album.objects.filter(one)) == 3

    def test_can_be_used_again(self, known: Callable[[], Any], used: list[str]) -> None:
        condition, keys = known(), Album.objects.filter(year=1).values("pk")
        for _ in range(3):
            used.clear()
            assert len(Album.objects.filter(condition, pk__in=keys)) == 1
            assert len(Album.objects.filter(condition).order_by("year")) == 3
        assert len(used) == 2

    def test_threads_get_the_same_query(
        self, known: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        condition, retaken = known(), subqueries.retaken
        others: list[Any] = []

        def slow(trail: Any) -> Any:
            if not others:
                others.append(None)
                with ThreadPoolExecutor() as pool:
                    others.append(pool.submit(getattr, condition, "query").result())
            return retaken(trail)

        monkeypatch.setattr(subqueries, "retaken", slow)
        assert condition.query is others[1]

    def test_a_queryset_that_was_read_is_left_to_django(
        self, known: Callable[[], Any], used: list[str]
    ) -> None:
        found = tracks(1)
        found.query.set_empty()
        assert list(Album.objects.filter(Exists(found))) == []
        assert list(Album.objects.filter(pk__in=found.values("album"))) == []
        assert used == []

    def test_a_class_of_a_project_is_left_to_django(self, used: list[str]) -> None:
        class Number(Subquery):
            template = "(SELECT COUNT(*) FROM (%(subquery)s) _)"

        catalogue()

        def numbers() -> list[int]:
            number = Number(tracks(1).values("pk"), output_field=IntegerField())
            return [album.x for album in Album.objects.annotate(x=number)]

        assert thrice(numbers, used, planned=False) == [1, 1, 1]


def test_values_are_those_of_the_moment(used: list[str]) -> None:
    catalogue()
    artist, other = Artist.objects.get(), Artist.objects.create(name="Other")
    for _ in range(4):
        inner = artist.albums.all()
        albums = Album.objects.filter(pk__in=inner)
        key, artist.pk = artist.pk, other.pk
        # The filter has read the inner query.
        assert len(albums) == 3
        assert len(inner) == 3
        artist.pk = key


def test_errors_come_where_django_raises_them() -> None:
    catalogue()
    for _ in range(3):
        with pytest.raises(ValueError, match="must have 1 selected field"):
            Album.objects.filter(pk__in=Album.objects.values("pk", "year"))
        with pytest.raises(ValueError, match="Use a QuerySet for"):
            Album.objects.filter(artist__in=Album.objects.all())
        with pytest.raises(ValueError, match="must be limited to one result"):
            list(Album.objects.filter(pk=Album.objects.filter(year=1)))


def test_a_copy_in_an_expression_is_left_to_django(used: list[str]) -> None:
    """An expression that copies its arguments may hold the values of another call."""

    class Copying(Coalesce):
        __module__ = "django.db.models.functions"

        def __init__(self, *expressions: Any) -> None:
            super().__init__(*copy.deepcopy(expressions))

    catalogue()
    for n in (0, 1, 0):
        title = Copying(Subquery(tracks(n).values("title")[:1]), Value(""))
        titles = Album.objects.annotate(x=title).values_list("x", flat=True)
        assert list(titles) == [str(n)] * 3
    assert used == []
