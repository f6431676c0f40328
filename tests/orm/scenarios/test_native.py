"""Django's own async code, and crossing between the worlds, without threads."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import aauthenticate, get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends import db as db_sessions
from django.core.cache.backends.db import DatabaseCache
from django.core.management import call_command
from django.db import connections
from django.db.models.signals import post_save
from django.db.transaction import atomic
from django.test import override_settings

from tests.fix_db import only_postgresql
from tests.fix_threads import Gate
from tests.records.models import Artist
from vinyl.orm import run, transaction

User = get_user_model()

# On SQLite each connection has a thread; PostgreSQL shows whether others are started.
natively = pytest.mark.anyio


@natively
@only_postgresql
class TestAuth:
    async def test_twins_of_the_user_model(
        self, db: str, started_threads: list[str]
    ) -> None:
        # Without passwords, for which threads are started.
        user = await User.objects.acreate_user("nina")
        other = await User.objects.create_user("abbey")
        content_type = await ContentType.objects.aget(
            app_label="records", model="album"
        )
        permission = await Permission.objects.aget(
            content_type=content_type, codename="change_album"
        )
        await user.user_permissions.aadd(permission)
        assert await user.ahas_perm("records.change_album")
        assert not await other.ahas_perm("records.change_album")
        assert await user.aget_all_permissions() == {"records.change_album"}
        assert started_threads == []

    async def test_authentication(self, db: str) -> None:
        await User.objects.acreate_user("nina", password="pastel-blues")
        user = await aauthenticate(username="nina", password="pastel-blues")
        assert user is not None
        assert await aauthenticate(username="nina", password="wrong") is None

    async def test_sessions(self, db: str, started_threads: list[str]) -> None:
        session = db_sessions.SessionStore()
        await session.aset("artist", "Nina")
        await session.asave()
        again = db_sessions.SessionStore(session.session_key)
        assert await again.aget("artist") == "Nina"
        await again.aflush()
        assert not await again.aexists(session.session_key)
        assert started_threads == []


@natively
@only_postgresql
async def test_the_database_cache(db: str, started_threads: list[str]) -> None:
    name = "vinyl_cache"
    setting = {"BACKEND": "django.core.cache.backends.db.DatabaseCache"}
    with override_settings(CACHES={"default": {**setting, "LOCATION": name}}):
        await run(call_command, "createcachetable", verbosity=0)
        cache = DatabaseCache(name, {})
        await cache.aset("artist", "Nina")
        assert await cache.aget("artist") == "Nina"
        assert await cache.aget_or_set("label", lambda: "Philips") == "Philips"
        await cache.aclear()
        assert await cache.aget("artist") is None
    assert started_threads == []


@natively
class TestSignals:
    async def test_receivers_of_both_kinds_see_the_transaction(self, db: str) -> None:
        seen: list[Any] = []

        def plain(sender: Any, instance: Artist, **kwargs: Any) -> None:
            seen.append(("plain", Artist.objects.filter(pk=instance.pk).exists()))

        async def awaited(sender: Any, instance: Artist, **kwargs: Any) -> None:
            found = await Artist.objects.filter(pk=instance.pk).exists()
            seen.append(("awaited", found))

        post_save.connect(plain, Artist)
        post_save.connect(awaited, Artist)
        try:
            async with transaction.atomic():
                artist = await Artist.objects.create(name="Nina")
                assert sorted(seen) == [("awaited", True), ("plain", True)]
                seen.clear()
                await post_save.asend(Artist, instance=artist)
                assert sorted(seen) == [("awaited", True), ("plain", True)]
                transaction.set_rollback(True)
        finally:
            post_save.disconnect(plain, Artist)
            post_save.disconnect(awaited, Artist)


class TestAsyncToSync:
    """Async code that sync code waits for takes part in its transaction."""

    def test_shares_the_transaction_of_the_thread(self, db: str) -> None:
        async def add() -> int:
            await Artist.objects.create(name="Abbey")
            async with transaction.atomic():
                await Artist.objects.create(name="Odetta")
            return await Artist.objects.count()

        with pytest.raises(LookupError), atomic():
            Artist.objects.create(name="Nina")
            assert async_to_sync(add)() == 3
            assert Artist.objects.count() == 3
            raise LookupError
        assert Artist.objects.count() == 0

    def test_goes_there_and_back(self, db: str) -> None:
        async def outer() -> int:
            await Artist.objects.create(name="Abbey")
            # To the main thread, whose connection is the same.
            return await sync_to_async(Artist.objects.count)()

        with atomic():
            Artist.objects.create(name="Nina")
            assert async_to_sync(outer)() == 2
            transaction.set_rollback(True)

    def test_the_thread_uses_it_in_turn_with_the_tasks(self, db: str) -> None:
        gate = Gate()
        order: list[str] = []

        def slow() -> None:
            gate.wait()
            Artist.objects.create(name="thread")
            order.append("thread")

        async def sibling() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="sibling")
                order.append("sibling")

        async def main() -> None:
            calling = asyncio.create_task(sync_to_async(slow)())
            await asyncio.to_thread(gate.reached.wait, 30)
            waiting = asyncio.create_task(sibling())
            await asyncio.sleep(0)
            gate.open()
            await asyncio.gather(calling, waiting)

        with atomic():
            async_to_sync(main)()
            assert Artist.objects.count() == 2
            transaction.set_rollback(True)
        assert order == ["thread", "sibling"]

    def test_in_a_transaction_it_opens_no_connection_of_its_own(self, db: str) -> None:
        def connection() -> Any:
            return connections["default"].connection

        async def inner() -> Any:
            return await run(connection)

        with atomic():
            assert async_to_sync(inner)() is connection()

    def test_outside_a_transaction_tasks_have_a_connection_each(self, db: str) -> None:
        async def main() -> None:
            counts: asyncio.Queue[int] = asyncio.Queue()

            async def produce() -> None:
                for _ in range(3):
                    await counts.put(await Artist.objects.count())

            async def consume() -> None:
                async with transaction.atomic():
                    for _ in range(3):
                        await counts.get()

            await asyncio.gather(consume(), produce())

        Artist.objects.count()
        async_to_sync(main)()

    @natively
    async def test_inside_the_bridge_it_awaits(self, db: str) -> None:
        async def count_async() -> int:
            return await Artist.objects.acount()

        def count() -> int:
            Artist.objects.create(name="Nina")
            return async_to_sync(count_async)()

        assert await run(count) == 1
