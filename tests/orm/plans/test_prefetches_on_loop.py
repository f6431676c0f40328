"""Prefetches run on the event loop without the bridge, where no code of others runs."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, var-annotated"

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Manager, Prefetch
from django.db.models.signals import post_init

from tests.fix_db import only_postgresql
from tests.orm.plans.scenarios.test_equality import fill, shown
from tests.records.models import Album, Artist, Biography, Label, Track
from vinyl.bridge.greenlets import in_bridge
from vinyl.orm import run, transaction
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
    "through a table": (lambda: Album.objects.prefetch_related("genres"), 0),
    "a queryset": (
        lambda: Album.objects.prefetch_related(Prefetch("tracks", Track.objects.all())),
        0,
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_gives_what_django_gives(case: str, direct: list[str]) -> None:
    await run(fill)
    make, expected = CASES[case]
    await compare(lambda: make().order_by("pk"), direct, expected)


@pytest.mark.parametrize("lookup", ["nonsense", "title", "tracks__nonsense"])
async def test_raises_what_django_raises(lookup: str) -> None:
    await run(fill)
    with pytest.raises((AttributeError, ValueError)) as of_django:
        await run(list, Album.objects.prefetch_related(lookup))
    for _ in range(4):
        with pytest.raises(of_django.type) as error:
            await Album.objects.prefetch_related(lookup)
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
    for _ in range(3):
        expected = await Album.objects.prefetch_related("tracks", "artist")
    for turn in range(60):
        albums = Album.objects.prefetch_related("tracks", "artist")

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
