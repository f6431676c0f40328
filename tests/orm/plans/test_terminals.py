"""The methods that run a query use a plan: in tasks, threads, and after errors."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="comparison-overlap, unreachable"

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count

from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist, Genre, Track
from vinyl.orm import fetch, prefetch_related_objects, run
from vinyl.orm.plans import trails

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
]


class TestMethods:
    def test_of_refresh_from_db(self, used: list[str]) -> None:
        album = catalogue()

        def refreshed() -> str:
            album.title = "x"
            album.refresh_from_db()
            return album.title

        assert thrice(refreshed, used) == "Album 2"

    def test_of_get_or_create(self, used: list[str]) -> None:
        artist = catalogue().artist

        def found() -> tuple[Artist, bool]:
            return Artist.objects.get_or_create(name="Nina Simone")

        assert thrice(found, used) == (artist, False)

    def test_that_find_nothing_have_a_plan_as_well(self, used: list[str]) -> None:
        def miss() -> None:
            with pytest.raises(Artist.DoesNotExist, match="Artist matching query"):
                Artist.objects.get(name="nobody")

        thrice(miss, used)


class TestOnTheLoop:
    async def test_tasks_use_one_plan(self, used: list[str]) -> None:
        album = await run(catalogue)
        for _ in range(2):
            await Album.objects.get(pk=album.pk)
        used.clear()
        found = await asyncio.gather(
            *[Album.objects.get(pk=album.pk) for _ in range(20)],
            *[Artist.objects.filter(name="Nina Simone").exists() for _ in range(20)],
        )
        assert found == [album] * 20 + [True] * 20
        assert len(used) >= 20

    async def test_lazy_relations(self, used: list[str]) -> None:
        album = await run(catalogue)
        for _ in range(3):
            used.clear()
            fresh = await Album.objects.get(pk=album.pk)
            assert (await fresh.artist).name == "Nina Simone"
            await fetch(fresh, "label")
            await prefetch_related_objects([fresh], "tracks")
            assert len(fresh.tracks.all()) == 2
        assert len(used) == 3

    async def test_a_cancelled_query_is_planned_later(self, used: list[str]) -> None:
        album = await run(catalogue)

        async def get() -> Any:
            return await Album.objects.get(pk=album.pk)

        await get()
        for _ in range(3):
            task = asyncio.ensure_future(get())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await get()
        used.clear()
        assert await get() == album
        assert used

    async def test_threads_share_plans(self, used: list[str]) -> None:
        await run(catalogue)
        found: list[int] = []

        def read() -> None:
            found.extend(len(Album.objects.filter(year__lt=2)) for _ in range(20))
            connection.close()

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert found == [2] * 80
        assert used


@pytest.mark.parametrize(
    "make",
    [
        lambda number: list(Album.objects.filter(year=number)),
        lambda number: list(Album.objects.filter(year=number).iterator()),
        lambda number: Album.objects.filter(year=number).first(),
        lambda number: Album.objects.filter(year=number).count(),
        lambda number: Album.objects.filter(year=number).aggregate(Count("pk")),
        lambda number: Album.objects.filter(year=number).in_bulk(),
        lambda number: Album.objects.filter(year=number).update(notes=""),
        lambda number: Album.objects.filter(pk=1).update(label=number),
        lambda number: Track.objects.filter(position=number).delete(),
        lambda number: Genre(pk=number).save(),
        lambda number: Genre(pk=number, name="").delete(),
        lambda number: Genre.objects.get_or_create(name=f"{number}"),
        lambda number: Genre.objects.bulk_create([Genre(name=f"{number}")]),
    ],
)
def test_routers_are_asked_as_often(
    make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue()
    numbers = 1, 2, 3, 4, None
    asked: list[Any] = []

    class Router:
        def db_for_read(self, model: Any, **hints: Any) -> None:
            asked.append(("read", model, [*hints]))

        def db_for_write(self, model: Any, **hints: Any) -> None:
            asked.append(("write", model, [*hints]))

    monkeypatch.setattr("django.db.router.routers", [Router()])

    def of(number: Any) -> list[Any]:
        asked.clear()
        with suppress(Exception), transaction.atomic():
            make(number)
            transaction.set_rollback(True)
        return list(asked)

    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = [of(number) for number in numbers]
    assert [of(number) for number in numbers] == expected
