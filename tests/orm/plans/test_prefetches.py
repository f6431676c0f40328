"""Prefetches give what Django gives: objects, what they know of each other, queries."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc, operator, union-attr"

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.apps.registry import Apps
from django.db import connection
from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.db.models.fields import related_descriptors
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fix_db import only_postgresql
from tests.orm.plans.scenarios.chains import EXAMPLES, PREFETCHES, Q, fill
from tests.orm.plans.scenarios.outcomes import outcome
from tests.records.models import (
    Album,
    Artist,
    Biography,
    Genre,
    Label,
    Tag,
    Track,
)
from vinyl.orm import models, run, transaction
from vinyl.orm.observe import recorder
from vinyl.orm.plans import prefetches, shapes, trails
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The attribute of each level that does not need Django."""
    found: list[str] = []
    level = prefetches._level

    def noted(*args: Any) -> Any:
        result = level(*args)
        if result is not None:
            found.append(result.attribute)
        return result

    monkeypatch.setattr(prefetches, "_level", noted)
    return found


def compare(make: Callable[[], Any]) -> Any:
    """Run *make* without plans and often enough to have them; return its outcome."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(recorder, "observes_loads", False)
        patches.setattr(trails, "_enabled", False)
        expected = outcome(make)
        patches.setattr(trails, "_enabled", True)
        shapes.forget()
        for occasion in ("seen", "learned", "planned", "planned again"):
            assert outcome(make) == expected, occasion
    return expected


def albums() -> QuerySet[Album]:
    return Album.objects.order_by("pk")


# A queryset, and the attributes that it prefetches without Django.
CASES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "what refers to each": (lambda: albums().prefetch_related("tracks"), ["tracks"]),
    "what each refers to": (lambda: albums().prefetch_related("artist"), ["artist"]),
    "what some refer to": (lambda: albums().prefetch_related("label"), ["label"]),
    "what none refers to": (
        lambda: albums().filter(label=None).prefetch_related("label"),
        ["label"],
    ),
    "both sides of one to one": (
        lambda: Artist.objects.prefetch_related("biography__artist"),
        ["biography"],
    ),
    "the owner of one to one": (
        lambda: Biography.objects.prefetch_related("artist"),
        ["artist"],
    ),
    "many to many": (lambda: albums().prefetch_related("genres"), ["genres"]),
    "many to many, from the other side": (
        lambda: Genre.objects.prefetch_related("albums__genres"),
        ["albums", "genres"],
    ),
    "several levels": (
        lambda: Label.objects.prefetch_related("albums__tracks", "albums__artist"),
        ["albums", "tracks", "artist"],
    ),
    "what is fetched already": (
        lambda: albums().select_related("artist").prefetch_related("artist__albums"),
        ["albums"],
    ),
    "a queryset of its own": (
        lambda: albums().prefetch_related(
            Prefetch("tracks", Track.objects.filter(position__gt=0).order_by("-pk")),
            Prefetch("genres", Genre.objects.filter(albums__year=1965).distinct()),
            Prefetch("artist", Artist.objects.filter(name="a1").only("name")),
        ),
        ["tracks", "genres", "artist"],
    ),
    "an attribute of its own": (
        lambda: albums().prefetch_related(
            Prefetch("tracks", Track.objects.all(), to_attr="songs"),
            Prefetch("artist", to_attr="by"),
            Prefetch("genres", to_attr="styles"),
        ),
        ["songs", "by", "styles"],
    ),
    "a slice for each": (
        lambda: albums().prefetch_related(Prefetch("tracks", Track.objects.all()[:1])),
        ["tracks"],
    ),
    "a slice of what each refers to": (
        lambda: albums().prefetch_related(Prefetch("artist", Artist.objects.all()[:1])),
        ["artist"],
    ),
    "lookups of the prefetched": (
        lambda: albums().prefetch_related(
            Prefetch("artist", Artist.objects.prefetch_related("biography")),
            Prefetch("tracks", Track.objects.prefetch_related("album")),
        ),
        ["artist", "biography", "tracks", "album"],
    ),
    "a key that is deferred there": (
        lambda: albums().prefetch_related(Prefetch("tracks", Track.objects.only("pk"))),
        ["tracks"],
    ),
    "a key that is deferred here": (
        lambda: Track.objects.defer("album").prefetch_related("album"),
        [],
    ),
    "an attribute that is a field": (
        lambda: albums().prefetch_related(Prefetch("tracks", to_attr="title")),
        [],
    ),
    "something generic": (
        lambda: albums().prefetch_related("tags__target"),
        [],
    ),
    "what there is no relation to": (
        lambda: albums().prefetch_related("tracks__nonsense"),
        ["tracks"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_result_is_that_of_django(case: str, levels: list[str]) -> None:
    make, expected = CASES[case]
    fill()
    for album in albums()[:2]:
        Tag.objects.create(word="x", target=album)
    compare(lambda: list(make()))
    # In each of the runs that have plans.
    assert levels == expected * 4


@pytest.mark.parametrize(
    "name", ["tracks", "artist", "label", "genres", "artist__biography__artist"]
)
def test_each_query_has_a_plan(name: str, used: list[str]) -> None:
    if connection.vendor == "sqlite" and django.VERSION < (6, 1):
        if name not in ("tracks", "genres"):
            pytest.skip("Django compares no tuples there")
    fill()
    for _ in range(4):
        used.clear()
        with CaptureQueriesContext(connection) as queries:
            list(albums().prefetch_related(name))
    assert len(used) == len(queries) > 1


def test_a_plan_uses_the_keys_of_its_instances() -> None:
    fill()
    keys = [album.pk for album in albums()]
    for start in range(4):
        found = albums().filter(pk__in=keys[start : start + 2])
        for album in found.prefetch_related("tracks", "artist", "genres"):
            tracks = album.tracks.all()
            assert {track.album for track in tracks} <= {album}
            assert list(tracks) == list(Track.objects.filter(album=album))
            assert album.artist.pk == album.artist_id
            assert {*album.genres.order_by("pk")} == {*album.genres.all()}


def test_unsaved_instances_are_refused() -> None:
    artist = Artist.objects.create(name="a")
    found = [Album(title="x", artist=artist), Album(title="y", artist=artist)]
    for names in (["artist"], ["tracks"], ["genres"]):
        compare(lambda names=names: prefetch_related_objects(found, *names))


def test_an_instance_may_be_listed_twice() -> None:
    fill()

    def make() -> Any:
        album = albums()[0]
        prefetch_related_objects([album, album], "tracks", "artist", "genres")
        return album

    compare(make)


def test_django_prefetches_for_several_models(levels: list[str]) -> None:
    class Loud(Album):
        class Meta:
            proxy = True
            app_label = "records"
            apps = Apps()

    fill()

    def make() -> Any:
        found: list[Any] = [albums()[0], Loud.objects.order_by("pk")[1]]
        prefetch_related_objects(found, "tracks")
        return found

    compare(make)
    assert not levels


def test_a_queryset_that_is_given_stays_usable() -> None:
    fill()
    tracks = Track.objects.filter(position__gt=0)

    def make() -> Any:
        found = list(albums().prefetch_related(Prefetch("tracks", tracks)))
        return found, str(tracks.query), [one.pk for one in tracks.all()]

    compare(make)


def test_receivers_see_each_instance(levels: list[str]) -> None:
    fill()
    seen: list[Any] = []

    def receiver(instance: Any, **kwargs: Any) -> None:
        seen.append((type(instance), instance.pk))

    def make() -> Any:
        seen.clear()
        found = list(albums().prefetch_related("tracks"))
        return found, list(seen)

    post_init.connect(receiver, sender=Track)
    try:
        compare(make)
    finally:
        post_init.disconnect(receiver, sender=Track)
    assert levels


class TestManagers:
    def test_with_their_own_get_queryset_are_called_as_often(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill()
        asked: list[Any] = []

        class Own(models.Manager[Track]):
            def get_queryset(self) -> models.QuerySet[Track]:
                instance: Any = getattr(self, "instance", None)
                asked.append(instance.pk if instance else None)
                found = super().get_queryset().filter(position__lt=9)
                return found if instance and instance.pk % 2 else found.order_by("pk")

        def make() -> Any:
            asked.clear()
            found = list(albums().prefetch_related("tracks"))
            return found, list(asked)

        manager: Any = related_descriptors.create_reverse_many_to_one_manager(
            Own, Album.tracks.rel
        )
        monkeypatch.setitem(vars(Album.tracks), "related_manager_cls", manager)
        compare(make)
        assert len(asked) == albums().count() + 1

    def test_use_the_router_as_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fill()
        asked: list[Any] = []

        class Router:
            def db_for_read(self, model: Any, **hints: Any) -> str:
                instance = hints.get("instance")
                asked.append((model, getattr(instance, "pk", None)))
                return "default"

        def make() -> Any:
            asked.clear()
            found = list(albums().prefetch_related("tracks", "genres", "artist"))
            return found, list(asked)

        monkeypatch.setattr("django.db.router.routers", [Router()])
        compare(make)


@st.composite
def prefetching(draw: st.DrawFn) -> Callable[[], Any]:
    model = draw(st.sampled_from(list(PREFETCHES)))
    lookups = draw(st.lists(st.sampled_from(PREFETCHES[model]), min_size=1, max_size=3))
    condition = draw(
        st.sampled_from([Q(), Q(pk__gt=2), Q(pk__lt=0), Q(pk__in=[1, 2, 3])])
    )
    joined = draw(st.sampled_from([(), ("artist",), ("album",), ("biography",)]))
    is_twice = draw(st.booleans())

    def make() -> Any:
        queryset = model.objects.filter(condition).order_by("pk")
        names = {field.name for field in model._meta.get_fields()}
        if names.issuperset(joined):
            queryset = queryset.select_related(*joined)
        given = [one() if callable(one) else one for one in lookups]
        if is_twice:
            found = list(queryset)
            prefetch_related_objects(found, *given)
            prefetch_related_objects(found, *given)
            return found
        return list(queryset.prefetch_related(*given))

    return make


@settings(max_examples=EXAMPLES)
@given(make=prefetching())
def test_prefetches_of_any_kind_equal_djangos(make: Callable[[], Any]) -> None:
    fill()
    compare(make)


async def test_in_async_mode_as_well() -> None:
    await run(fill)
    for _ in range(4):
        for album in await albums().prefetch_related("tracks", "artist", "genres"):
            assert [track.album for track in album.tracks.all()] == [album] * len(
                album.tracks.all()
            )
            assert album.artist.pk == album.artist_id
            assert len(album.genres.all()) == await album.genres.count()


@only_postgresql
async def test_connection_and_instances_are_usable_after_a_cancellation() -> None:
    await run(fill)
    pool = pool_for("default")

    async def prefetch() -> list[Album]:
        return await albums().prefetch_related("tracks__album", "artist", "genres")

    for _ in range(3):
        expected = await prefetch()
    found = await albums()
    for turn in range(40):
        names = "tracks", "artist", "genres"
        task = asyncio.create_task(models.aprefetch_related_objects(found, *names))
        for _ in range(turn % 10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await prefetch() == expected
    assert not pool.in_use
    await models.aprefetch_related_objects(found, "tracks", "artist", "genres")
    for album in found:
        assert {track.album for track in album.tracks.all()} <= {album}
    async with transaction.atomic():
        assert await prefetch() == expected
