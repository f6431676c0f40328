"""Prefetches run on the event loop without the bridge, where no code of others runs."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, var-annotated"

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.db import models
from django.db.models import Manager, Prefetch
from django.db.models.signals import post_init
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fix_db import only_postgresql
from tests.orm.plans.scenarios.chains import EXAMPLES, PREFETCHES, fill
from tests.orm.plans.scenarios.outcomes import shown
from tests.records.models import Album, Artist, Biography, Genre, Label, Track
from vinyl.bridge.greenlets import in_bridge
from vinyl.orm import connection, run, transaction
from vinyl.orm.backends.collection import MANY, Pause
from vinyl.orm.plans import trails
from vinyl.orm.pools.registry import pool_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
    only_postgresql,
]


async def compare(make: Callable[[], Any], direct: list[str], expected: int) -> None:
    """*make* gives what Django gives; *expected* of its queries need no bridge."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(trails, "_enabled", False)
        of_django = await run(shown, list(await make()))
    for _ in range(4):
        direct.clear()
        queryset = make()
        found = list(await queryset)
        assert await run(shown, found) == of_django
    assert queryset._prefetch_done
    assert len(direct) == expected, direct


CASES: dict[str, tuple[Callable[[], Any], int]] = {
    "what refers to each": (lambda: Album.objects.prefetch_related("tracks"), 2),
    "what each refers to": (lambda: Album.objects.prefetch_related("artist"), 2),
    "what some refer to": (lambda: Album.objects.prefetch_related("label"), 2),
    "one to one": (lambda: Artist.objects.prefetch_related("biography"), 2),
    "one to one, forward": (lambda: Biography.objects.prefetch_related("artist"), 2),
    "several relations": (
        lambda: Album.objects.prefetch_related("tracks", "artist__biography", "artist"),
        4,
    ),
    "several levels": (
        lambda: Label.objects.prefetch_related("albums__tracks", "albums__artist"),
        4,
    ),
    "no rows": (lambda: Album.objects.filter(pk=0).prefetch_related("tracks"), 1),
    "what is fetched already": (
        lambda: Album.objects.select_related("artist").prefetch_related("artist"),
        1,
    ),
    "back again": (lambda: Album.objects.prefetch_related("tracks__album"), 0),
    "a deferred key": (
        lambda: Album.objects.defer("label").prefetch_related("label"),
        1,
    ),
    "through a table": (
        lambda: Album.objects.prefetch_related("genres__albums__tracks", "genres"),
        4,
    ),
    "a queryset": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", Track.objects.filter(position__gt=0).order_by("-pk")),
            Prefetch("artist", Artist.objects.filter(name__gt="a1")),
            Prefetch("genres", Genre.objects.order_by("name")),
            "tracks__album__label",
        ),
        # The last goes back to what is set already.
        0,
    ),
    "querysets": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", Track.objects.filter(position__gt=0).order_by("-pk")),
            Prefetch("artist", Artist.objects.filter(name__gt="a1")),
            Prefetch("genres", Genre.objects.order_by("name")),
            "artist__biography",
        ),
        5,
    ),
    "attributes": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", to_attr="songs"),
            Prefetch("artist", Artist.objects.order_by("pk"), to_attr="by"),
            Prefetch("genres", Genre.objects.filter(name="a"), to_attr="styles"),
            "by__biography",
            Prefetch("styles__albums", Album.objects.order_by("pk"), to_attr="all"),
        ),
        6,
    ),
    "lookups of querysets": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", Track.objects.prefetch_related("album__label")),
            Prefetch("artist", Artist.objects.prefetch_related("biography")),
            Prefetch("genres", Genre.objects.prefetch_related("albums"), "styles"),
        ),
        8,
    ),
    "a queryset that joins what is prefetched": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", Track.objects.select_related("album__artist")),
            Prefetch("artist", Artist.objects.select_related("biography")),
            "artist__biography",
        ),
        3,
    ),
    "keys that are deferred there": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", Track.objects.only("title")),
        ),
        2,
    ),
    "a slice": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", Track.objects.order_by("pk")[:1], "one"), "artist"
        ),
        2,
    ),
    "an attribute that is a field": (
        lambda: Album.objects.prefetch_related(Prefetch("tracks", to_attr="title")),
        0,
    ),
    "a filter by an instance": (
        lambda: Album.objects.prefetch_related(
            Prefetch("tracks", Track.objects.exclude(album=Album(pk=1)))
        ),
        2,
    ),
    "several lookups below one with lookups": (
        lambda: Album.objects.prefetch_related(
            Prefetch("genres", Genre.objects.prefetch_related("albums")),
            "genres__albums__tracks",
        ),
        0,
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_gives_what_django_gives(case: str, direct: list[str]) -> None:
    await run(fill)
    make, expected = CASES[case]
    await compare(lambda: make().order_by("pk"), direct, expected)


async def test_what_is_not_read_needs_no_garbage_collector(direct: list[str]) -> None:
    await run(fill)
    with Pause(MANY):
        for _ in range(4):
            direct.clear()
            albums = Album.objects.order_by("pk")
            found = [*await albums.prefetch_related("tracks", "genres", "artist")]
            # Django makes the queryset of the first one, which refers to it.
            refs = [weakref.ref(album) for album in found[1:]]
            read = found[2]
            assert all(track.album is read for track in read.tracks.all())
            del found, read
        alive = [ref() is not None for ref in refs]
    assert alive == [False, True, *[False] * (len(refs) - 2)]
    assert len(direct) == 4


@pytest.mark.skipif(django.VERSION < (6, 1), reason="needs Django 6.1")
async def test_peers_have_their_instance_at_once() -> None:
    await run(fill)
    mode: Any = getattr(models, "FETCH_PEERS", None)
    for _ in range(4):
        tracks: Any = Prefetch("tracks", Track.objects.fetch_mode(mode))
        found = await Album.objects.order_by("pk").prefetch_related(tracks)
        first = next(album for album in found if album.tracks.all())
        peers = [ref() for ref in first.tracks.all()[0]._state.peers]
        assert len(peers) > len(first.tracks.all())
        assert all(peer._state.fields_cache["album"] in found for peer in peers)


async def test_objects_that_are_read_have_their_instance() -> None:
    await run(fill)
    for _ in range(4):
        with_year = Prefetch("tracks", Track.objects.filter(position__gte=0))
        for lookup in ("tracks", with_year):
            albums = await Album.objects.order_by("pk").prefetch_related(lookup)
            assert any(album.tracks.all() for album in albums)
            for album in albums:
                for track in album.tracks.all():
                    assert track.album is album
                assert album.tracks.all() is album.tracks.all()


async def test_an_instance_that_is_set_already_stays() -> None:
    await run(fill)
    joined = Prefetch("tracks", Track.objects.select_related("album"))
    for _ in range(4):
        albums = await Album.objects.order_by("pk").prefetch_related(joined)
        tracks = [(track, album) for album in albums for track in album.tracks.all()]
        assert tracks
        assert all(
            track.album == album and track.album is not album for track, album in tracks
        )


# Lookups beyond those that the tests of sync mode combine.
LOOKUPS: list[Any] = [
    *PREFETCHES[Album],
    "by__albums",
    "some__albums",
    "songs__album__artist",
    "tracks__album__genres",
    lambda: Prefetch("genres", Genre.objects.prefetch_related("albums__tracks"), "g"),
    lambda: Prefetch("artist__albums", Album.objects.filter(year=1964), "early"),
    lambda: Prefetch("label__albums", Album.objects.prefetch_related("genres"), "la"),
    lambda: Prefetch("artist", Artist.objects.prefetch_related("biography", "albums")),
    lambda: Prefetch("artist", to_attr="artist"),
    lambda: Prefetch("tracks", Track.objects.none()),
]


@settings(max_examples=EXAMPLES // 3)
@given(lookups=st.lists(st.sampled_from(LOOKUPS), min_size=1, max_size=3))
async def test_lookups_of_any_kind_give_what_django_gives(lookups: list[Any]) -> None:
    await run(fill)

    async def outcome() -> tuple[Any, list[str]]:
        given = [one() if callable(one) else one for one in lookups]
        albums = Album.objects.order_by("pk").prefetch_related(*given)
        result: Any
        connection.queries_log.clear()
        try:
            result = await run(shown, list(await albums))
        except Exception as error:
            result = type(error), str(error)
        return result, [query["sql"] for query in connection.queries_log]

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(connection, "force_debug_cursor", True)
        patches.setattr(trails, "_enabled", False)
        expected = await outcome()
        assert expected[1]
        patches.setattr(trails, "_enabled", True)
        for _ in range(4):
            assert await outcome() == expected


ERRORS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "no such name": lambda: ("nonsense",),
    "no relation": lambda: ("title",),
    "no such name there": lambda: ("tracks__nonsense",),
    "two querysets": lambda: (
        "genres",
        Prefetch("genres", Genre.objects.order_by("pk")),
    ),
    "another model": lambda: (Prefetch("tracks", Genre.objects.all()),),
    "no such name below a queryset": lambda: (
        Prefetch("artist", Artist.objects.prefetch_related("nonsense")),
    ),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_raises_what_django_raises(case: str) -> None:
    await run(fill)
    with pytest.raises(Exception) as of_django:  # noqa: PT011
        await run(list, Album.objects.prefetch_related(*ERRORS[case]()))
    for _ in range(4):
        with pytest.raises(of_django.type) as error:
            await Album.objects.prefetch_related(*ERRORS[case]())
        assert str(error.value) == str(of_django.value)


async def test_that_fails_keeps_the_rows_as_in_django(direct: list[str]) -> None:
    await run(fill)
    for _ in range(3):
        expected = await Album.objects.prefetch_related("tracks")

    def receiver(**kwargs: Any) -> None:
        raise RuntimeError("No tracks.")

    albums = Album.objects.prefetch_related("tracks")
    direct.clear()
    post_init.connect(receiver, sender=Track)
    try:
        with pytest.raises(RuntimeError, match="No tracks"):
            await albums
        assert len(direct) == 1
        rows = albums._result_cache
        assert rows is not None
        assert await albums.count() == len(expected)
        assert len(direct) == 1
        # As long as it fails, there is an error each time.
        with pytest.raises(RuntimeError, match="No tracks"):
            await albums
    finally:
        post_init.disconnect(receiver, sender=Track)
    found = await albums
    assert found == expected
    assert all(one is row for one, row in zip(found, rows, strict=True))
    assert await run(shown, found) == await run(shown, expected)


async def test_a_block_sees_what_it_has_written(direct: list[str]) -> None:
    await run(fill)
    for _ in range(3):
        await Album.objects.prefetch_related("tracks")
    direct.clear()
    async with transaction.atomic():
        await Track.objects.update(title="new")
        albums = await Album.objects.prefetch_related("tracks")
        titles = {track.title for album in albums for track in album.tracks.all()}
        transaction.set_rollback(True)
    assert titles == {"new"}
    assert direct.count("SELECT") == 2


async def test_a_cancellation_leaves_a_clean_connection_and_no_rows() -> None:
    await run(fill)
    pool = pool_for("default")
    lookups: Any = "tracks", Prefetch("genres", Genre.objects.order_by("pk"))
    for _ in range(3):
        expected = await Album.objects.prefetch_related(*lookups)
    for turn in range(60):
        albums = Album.objects.prefetch_related(*lookups)

        async def evaluate(albums: Any = albums) -> Any:
            return await albums

        task = asyncio.create_task(evaluate())
        for _ in range(turn % 12):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # All with what was prefetched, or none.
        assert albums._result_cache is None or albums._prefetch_done
        found = await albums
        assert found == expected
        assert all(len(album.tracks.all()) for album in found)
        assert all(album.genres.all()._prefetch_done for album in found)
    assert not pool.in_use


class TestTheBridgeIsUsed:
    async def test_for_raw_sql(self) -> None:
        await run(fill)
        sql = "SELECT * FROM records_album ORDER BY id"
        for _ in range(2):
            albums = await Album.objects.raw(sql).prefetch_related("tracks")
            expected = await Album.objects.order_by("pk").prefetch_related("tracks")
            assert [(a, [*a.tracks.all()]) for a in albums] == [
                (album, [*album.tracks.all()]) for album in expected
            ]

    async def test_where_a_receiver_runs(self, direct: list[str]) -> None:
        await run(fill)
        for _ in range(3):
            await Album.objects.prefetch_related("tracks")
        seen: set[bool] = set()

        def receiver(**kwargs: Any) -> None:
            seen.add(in_bridge())

        direct.clear()
        post_init.connect(receiver, sender=Track)
        try:
            await Album.objects.prefetch_related("tracks")
        finally:
            post_init.disconnect(receiver, sender=Track)
        assert seen == {True}
        assert len(direct) == 1

    async def test_where_a_router_decides(
        self, direct: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Router:
            def db_for_read(self, model: Any, **hints: Any) -> str:
                asked.add(in_bridge())
                return "default"

        asked: set[bool] = set()
        await run(fill)
        monkeypatch.setattr("django.db.router.routers", [Router()])
        for _ in range(4):
            await Album.objects.prefetch_related("tracks")
        assert asked == {True}
        assert not direct

    async def test_for_a_manager_of_a_project(
        self, direct: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Own(Manager[Artist]):
            def get_queryset(self) -> Any:
                asked.add(in_bridge())
                return super().get_queryset()

        own = Own()
        own.model = Artist
        asked: set[bool] = set()
        await run(fill)
        monkeypatch.setitem(vars(Artist._meta), "base_manager", own)
        # What another test has found out.
        monkeypatch.setitem(vars(Album._meta), "vinyl_prefetches", {})
        for _ in range(4):
            await Album.objects.prefetch_related("artist")
        assert asked == {True}
        assert not direct
