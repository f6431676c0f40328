"""`save()`, `create()` and `update()` on the event loop, without the bridge."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-arg, func-returns-value, misc"
# mypy: disable-error-code="call-overload, var-annotated"

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connections
from django.db.models import F
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError

from tests.cancelling import cancel_after
from tests.fix_db import only_postgresql
from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Artist
from vinyl.bridge.greenlets import in_bridge
from vinyl.orm import run, transaction
from vinyl.orm.observe.events import QueryEvent, observe, set_observers
from vinyl.orm.plans import trails
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


async def warm() -> Album:
    """An album, after its writes have got their plans."""
    await run(catalogue)
    album = await Album.objects.aget(year=1)
    for number in range(3):
        await album.save()
        await album.save(update_fields=["title"])
        await Artist.objects.create(name=f"warm {number}")
        await Album.objects.filter(pk=album.pk).update(title="x")
    return album


async def test_a_save_updates(direct: list[str]) -> None:
    album = await warm()
    direct.clear()
    album.title = "Pastel Blues"
    assert await album.save() is None
    album.title = "Nina at Newport"
    await album.save(update_fields=["title"])
    assert direct == ["UPDATE"] * 2
    assert (await Album.objects.aget(pk=album.pk)).title == "Nina at Newport"


async def test_a_save_inserts(direct: list[str]) -> None:
    await warm()
    direct.clear()
    artist = Artist(name="Odetta")
    await artist.save()
    assert direct == ["INSERT"]
    assert not artist._state.adding
    assert artist._state.db == "default"
    assert await Artist.objects.aget(name="Odetta") == artist


async def test_a_save_updates_and_then_inserts(direct: list[str]) -> None:
    await warm()
    artist = await Artist.objects.create(name="Odetta")
    for _ in range(3):
        await artist.save()
    direct.clear()
    artist.pk, artist.name = 10_000, "Elizabeth"
    await artist.save()
    assert direct == ["UPDATE"]
    assert await Artist.objects.aget(pk=10_000) == artist


class TestTwoTasksThatSaveOneInstanceInABlock:
    @pytest.mark.parametrize("has_plans", [True, False])
    async def test_insert_it_twice_if_it_has_no_key(
        self, monkeypatch: pytest.MonkeyPatch, has_plans: bool
    ) -> None:
        album = await warm()
        monkeypatch.setattr(trails, "_enabled", has_plans)
        for save in (Album.save, partial(run, Album.save)):
            copy = Album(title="copy", artist_id=album.artist_id, year=1)
            async with transaction.atomic():
                # The second one waits for the connection when it has begun.
                await asyncio.gather(save(copy), save(copy))
        assert await Album.objects.filter(title="copy").count() == 4

    @pytest.mark.parametrize("has_plans", [True, False])
    async def test_insert_it_once_if_it_has_one(
        self, monkeypatch: pytest.MonkeyPatch, has_plans: bool
    ) -> None:
        await warm()
        for _ in range(3):
            artist = await Artist.objects.create(name="Odetta")
            await artist.save()
            await artist.delete()
        monkeypatch.setattr(trails, "_enabled", has_plans)
        artist = Artist(pk=10_000, name="Odetta")
        async with transaction.atomic():
            await asyncio.gather(artist.save(), artist.save())
        assert await Artist.objects.aget(pk=10_000) == artist


async def test_create_returns_the_object(direct: list[str]) -> None:
    await warm()
    direct.clear()
    artist = await Artist.objects.create(name="Odetta")
    assert direct == ["INSERT"]
    assert artist.pk is not None
    assert not artist._state.adding
    assert await Artist.objects.aget(pk=artist.pk) == artist


async def test_update_returns_the_count(direct: list[str]) -> None:
    album = await warm()
    direct.clear()
    assert await Album.objects.filter(pk=album.pk).update(title="y") == 1
    assert await Album.objects.filter(pk=0).update(title="y") == 0
    assert direct == ["UPDATE"] * 2
    for _ in range(3):
        assert await Album.objects.filter(year=1).update(year=F("year")) == 1


async def test_writes_are_part_of_the_block(direct: list[str]) -> None:
    album = await warm()
    direct.clear()
    async with transaction.atomic():
        await Artist.objects.create(name="Odetta")
        album.title = "gone"
        await album.save()
        assert await Album.objects.filter(pk=album.pk).update(title="too") == 1
        transaction.set_rollback(True)
    assert direct == ["INSERT", "UPDATE", "UPDATE"]
    assert not await Artist.objects.filter(name="Odetta").exists()
    assert (await Album.objects.aget(pk=album.pk)).title == "x"


@only_postgresql
@pytest.mark.parametrize("has_plans", [True, False])
async def test_errors_break_the_transaction(
    monkeypatch: pytest.MonkeyPatch, has_plans: bool
) -> None:
    album = await warm()
    monkeypatch.setattr("vinyl.orm.plans.trails._enabled", has_plans)

    async def missing() -> None:
        await Album(pk=0, title="x", artist_id=1).save(force_update=True)

    for attempt, expected in (
        (missing, DatabaseError),
        (lambda: Artist.objects.create(name="warm 1"), IntegrityError),
        (lambda: Album.objects.filter(pk=album.pk).update(title="z" * 300), Exception),
    ):
        with pytest.raises(TransactionManagementError) as refused:
            async with transaction.atomic():
                with pytest.raises(expected) as raised:
                    await attempt()
                assert connections["default"].needs_rollback
                await Artist.objects.create(name="Odetta")
        assert refused.value.__cause__ is raised.value
    with pytest.raises(IntegrityError):
        await Artist.objects.create(name="warm 1")
    assert not await Artist.objects.filter(name="Odetta").exists()


class TestTheBridgeIsUsed:
    async def test_where_a_receiver_runs(self, direct: list[str]) -> None:
        album = await warm()
        direct.clear()
        seen: list[bool] = []

        def receive(**kwargs: Any) -> None:
            seen.append(in_bridge())

        post_save.connect(receive)
        try:
            await album.save()
            await Artist.objects.create(name="Odetta")
        finally:
            post_save.disconnect(receive)
        assert seen == [True, True]
        assert not direct

    async def test_where_a_block_observes(self, direct: list[str]) -> None:
        album = await warm()
        seen: list[str] = []

        class Observer:
            def begin(self, query: QueryEvent) -> None:
                seen.append(query.sql.split()[0])

            def end(self, query: QueryEvent) -> None:
                pass

        direct.clear()
        with observe(Observer()):
            await album.save()
            await Artist.objects.create(name="Odetta")
            await Album.objects.filter(pk=album.pk).update(title="x")
        assert not direct
        set_observers(Observer())
        try:
            await album.save()
        finally:
            set_observers()
        assert direct == ["UPDATE"]
        assert seen == ["UPDATE", "INSERT", "UPDATE", "UPDATE"]


async def test_a_cancelled_write_leaves_the_connection_clean() -> None:
    album = await warm()
    pool = pool_for("default")
    for turn in range(60):
        album.title = f"{turn}"
        works: tuple[Callable[[], Any], ...] = (
            album.save,
            partial(Artist.objects.create, name=f"turn {turn}"),
            partial(Album.objects.filter(pk=album.pk).update, title="u"),
            # An UPDATE, and an INSERT on the same connection.
            Album(pk=10_000 + turn, title="k", artist_id=album.artist_id, year=1).save,
        )
        await cancel_after(turn % 15, works[turn % 4]())
        assert await Album.objects.filter(pk=album.pk).exists()
    assert not pool.in_use


@only_postgresql
async def test_a_cancelled_write_breaks_the_transaction() -> None:
    album = await warm()
    with pytest.raises(TransactionManagementError):
        async with transaction.atomic():
            await Artist.objects.create(name="Odetta")
            task = asyncio.create_task(
                Album.objects.filter(pk=album.pk).update(title="u")
            )
            while connections["default"].connection.pgconn.transaction_status != 1:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert not await Artist.objects.filter(name="Odetta").exists()


@only_postgresql
async def test_a_lost_connection_is_an_error_and_not_a_second_write() -> None:
    album = await warm()
    with pytest.raises(OperationalError):
        async with transaction.atomic():
            await album.save()
            connections["default"].connection.close()
            await album.save()
    await album.save()
