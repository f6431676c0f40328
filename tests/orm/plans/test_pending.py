"""A queryset whose query is pending behaves like one with a query."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg"

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db.models import Count

from tests.orm.plans.planning import catalogue
from tests.records.models import Album
from vinyl.orm import models
from vinyl.orm.plans import pending, steps, trails
from vinyl.orm.plans.trails import trail_of

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class TestQuerysets:
    @pytest.fixture
    def known(self) -> Callable[[], Any]:
        """Makes a queryset that has no query as yet."""
        catalogue()

        def make() -> Any:
            return Album.objects.filter(year__gte=1).order_by("-year")

        for _ in range(2):
            list(make())
        assert "_Pending" in repr(vars(make())["_query"])
        return make

    def test_threads_get_the_same_query(
        self, known: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queryset, materialize = known(), pending.materialize
        others: list[Any] = []

        def late(one: Any) -> None:
            if not others:
                others.append(None)
                with ThreadPoolExecutor() as pool:
                    others.append(pool.submit(getattr, one, "query").result())
            materialize(one)

        monkeypatch.setattr(pending, "materialize", late)
        assert queryset.query is others[1]

    def test_another_thread_may_read_it_during_a_step(
        self, known: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queryset, expected = known(), list(known().reverse())

        def in_place(it: Any) -> bool:
            with ThreadPoolExecutor() as pool:
                pool.submit(getattr, it, "query").result()
            return trails.in_place(it)

        monkeypatch.setattr(steps, "in_place", in_place)
        assert list(queryset.order_by("year")) == expected

    def test_its_query(self, known: Callable[[], Any]) -> None:
        assert str(known().query).endswith("DESC")

    def test_a_changed_query_counts(
        self, known: Callable[[], Any], used: list[str]
    ) -> None:
        queryset = known()
        queryset.query.clear_ordering(force=True)
        queryset.query.add_ordering("year")
        assert [album.year for album in queryset] == [1, 2]
        other = known()
        other.query = Album.objects.filter(year=0).query
        assert [album.year for album in other] == [0]
        assert used == []

    def test_it_can_be_copied_and_combined(self, known: Callable[[], Any]) -> None:
        for one in (
            pickle.loads(pickle.dumps(known())),
            copy.deepcopy(known()),
            copy.copy(known()),
            known() | known(),
            Album.objects.filter(pk__in=known()).order_by("-year"),
            known().annotate(n=models.Count("tracks")),
            known().iterator(),
        ):
            assert [album.year for album in one] == [2, 1]

    def test_it_can_be_written_to(self, known: Callable[[], Any]) -> None:
        assert known().update(notes="x") == 2
        assert known().delete()[0] == 6


@pytest.mark.parametrize(
    ("make", "is_ordered"),
    [
        (lambda: Album.objects.all(), True),
        (lambda: Album.objects.filter(year=1), True),
        (lambda: Album.objects.order_by("pk"), True),
        (lambda: Album.objects.order_by(), False),
        (lambda: Album.objects.none().order_by(), True),
        (lambda: Album.objects.values("year").annotate(n=Count("pk")), False),
        (lambda: Album.objects.extra(order_by=["year"]), True),
    ],
)
def test_ordered_is_djangos(make: Callable[[], Any], is_ordered: bool) -> None:
    albums = make()
    for _ in range(3):
        trail = trail_of(albums)
        assert albums.ordered is is_ordered
        # Asking makes no query of it.
        assert trail_of(albums) is trail
        albums.query  # noqa: B018
        assert albums.ordered is is_ordered
        albums = make()
