"""watch(): committed changes on both databases, and those of a transaction."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.transaction import TransactionManagementError

from tests.fix_db import only_postgresql
from tests.orm.live.listeners import closed, kill_listener, sessions
from tests.records.models import Album, Artist, Genre, Label
from vinyl.orm import transaction
from vinyl.orm.live import polling, watch, watching
from vinyl.orm.live.tables import tables_of_models
from vinyl.orm.live.triggers import sql_to_unwatch, sql_to_watch

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("watched")]


@pytest.fixture
def watched(db: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Artists, albums and their genres have triggers. Labels have none."""
    monkeypatch.setattr(polling, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(watching, "UNCOMMITTED_INTERVAL", 0.001)
    tables = tables_of_models([Artist, Album, Genre])
    execute_for(tables, sql_to_watch)
    yield db
    execute_for(tables, sql_to_unwatch)


def execute_for(tables: set[str], sql: Any) -> None:
    if connections["default"].vendor == "postgresql":
        with connections["default"].cursor() as cursor:
            for table in tables:
                for statement in sql(table):
                    cursor.execute(statement)
    connections["default"].close()


async def following(lists: AsyncGenerator[list[Any], None]) -> list[Any]:
    async with asyncio.timeout(10):
        return await anext(lists)


async def no_more(lists: AsyncGenerator[list[Any], None]) -> None:
    """Assert that no list follows; what ends the generator."""
    waiting = asyncio.create_task(following(lists))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not done


class TestCommitted:
    async def test_a_list_at_first_and_after_each_commit(self) -> None:
        artists = Artist.objects.filter(name__startswith="N")
        async with aclosing(watch(artists, interval=0)) as lists:
            assert await following(lists) == []
            nina = await Artist.objects.create(name="Nina")
            assert await following(lists) == [nina]
            async with transaction.atomic():
                await Artist.objects.create(name="Nana")
                await Artist.objects.create(name="Nils")
            assert len(await following(lists)) == 3
            await Artist.objects.filter(name="Nina").update(name="Nora")
            assert [each.name for each in await following(lists)] == [
                "Nana",
                "Nils",
                "Nora",
            ]
            await Artist.objects.all().delete()
            assert await following(lists) == []
            await no_more(lists)

    async def test_a_rollback_is_no_change(self) -> None:
        async with aclosing(watch(Artist.objects.all(), interval=0)) as lists:
            await following(lists)
            with pytest.raises(LookupError):
                async with transaction.atomic():
                    await Artist.objects.create(name="Nina")
                    raise LookupError
            await no_more(lists)

    async def test_commits_during_the_loop_lead_to_one_list(self) -> None:
        async with aclosing(watch(Artist.objects.all(), interval=0.02)) as lists:
            assert await following(lists) == []
            for number in range(5):
                await Artist.objects.create(name=f"{number}")
            assert len(await following(lists)) == 5
            # The last commit may be reported after this list was read.
            more = 0
            with suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(0.1):
                        await anext(lists)
                    more += 1
            assert more <= 1

    async def test_another_process_commits(self, db: str) -> None:
        settings = connections.settings["default"]
        async with aclosing(watch(Artist.objects.all())) as lists:
            assert await following(lists) == []
            code = (
                "import sqlite3, sys; c = sqlite3.connect(sys.argv[1])"
                if db == "sqlite"
                else "import psycopg, sys; c = psycopg.connect(sys.argv[1])"
            )
            code += (
                "; c.execute(\"INSERT INTO records_artist (name) VALUES ('Nina')\")"
                "; c.commit(); c.close()"
            )
            where = (
                str(settings["NAME"])
                if db == "sqlite"
                else f"host={settings['HOST']} dbname={settings['NAME']} "
                f"user={settings['USER']} port={settings['PORT']}"
            )
            process = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-c", code, where], check=True
            )
            assert process.returncode == 0
            assert [str(each) for each in await following(lists)] == ["Nina"]

    async def test_values_and_joined_tables(self) -> None:
        nina = await Artist.objects.create(name="Nina")
        await Album.objects.create(title="Pastel Blues", artist=nina)
        titles = Album.objects.values_list("artist__name", flat=True)
        async with aclosing(watch(titles, interval=0)) as lists:
            assert await following(lists) == ["Nina"]
            await Artist.objects.update(name="Nora")
            assert await following(lists) == ["Nora"]

    async def test_only_the_given_models(self) -> None:
        label = await Label.objects.create(name="Philips")
        lists = watch(Label.objects.all(), models=[Artist], interval=0)
        async with aclosing(lists):
            assert await following(lists) == [label]
            await Artist.objects.create(name="Nina")
            assert await following(lists) == [label]


class TestUncommitted:
    async def test_changes_in_the_transaction(self) -> None:
        """As in a test whose fixture rolls everything back."""
        async with transaction.atomic():
            async with aclosing(watch(Artist.objects.all(), interval=0)) as lists:
                assert await following(lists) == []
                nina = await Artist.objects.create(name="Nina")
                assert await following(lists) == [nina]
                async with transaction.atomic():
                    await nina.delete()
                assert await following(lists) == []
                await no_more(lists)
            transaction.set_rollback(True)

    async def test_it_ends_with_the_transaction(self) -> None:
        async with aclosing(watch(Artist.objects.all(), interval=0)) as lists:
            async with transaction.atomic():
                assert await following(lists) == []
            with pytest.raises(TransactionManagementError, match="which has ended"):
                await following(lists)


@only_postgresql
class TestPostgreSQL:
    async def test_other_tables_do_not_count(self) -> None:
        async with aclosing(watch(Artist.objects.all(), interval=0)) as lists:
            await following(lists)
            await Genre.objects.create(name="Jazz")
            await no_more(lists)

    async def test_watchers_share_one_session(self, admin: psycopg.Connection) -> None:
        many = [watch(Artist.objects.all()) for _ in range(20)]
        assert await asyncio.gather(*map(following, many)) == [[]] * 20
        assert len(sessions(admin)) == 1
        nina = await Artist.objects.create(name="Nina")
        assert await asyncio.gather(*map(following, many)) == [[nina]] * 20
        for each in many:
            await each.aclose()
        await closed(admin)

    async def test_a_lost_session_leads_to_a_list(
        self, admin: psycopg.Connection
    ) -> None:
        """Because something may have been committed meanwhile."""
        async with aclosing(watch(Artist.objects.all())) as lists:
            assert await following(lists) == []
            kill_listener(admin)
            with psycopg.connect(admin.info.dsn, autocommit=True) as other:
                other.execute("INSERT INTO records_artist (name) VALUES ('Nina')")
            assert [str(each) for each in await following(lists)] == ["Nina"]
        await closed(admin)

    async def test_cancelled_it_stops_listening(
        self, admin: psycopg.Connection
    ) -> None:
        started = asyncio.Event()

        async def work() -> None:
            async for _ in watch(Artist.objects.all()):
                started.set()

        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed(admin)

    async def test_a_table_without_a_trigger_is_an_error(
        self, admin: psycopg.Connection
    ) -> None:
        albums = Album.objects.select_related("label")
        with pytest.raises(ImproperlyConfigured, match="reads records_label, but no"):
            await following(watch(albums))
        await closed(admin)


@only_postgresql
class TestMisuse:
    @pytest.mark.parametrize(
        ("queryset", "options", "error", "message"),
        [
            (Album, {}, TypeError, "not a queryset"),
            (Artist.objects.raw("SELECT 1"), {}, TypeError, "not a queryset"),
            (Artist.objects.all(), {"interval": -1}, ValueError, "interval=-1"),
            (Artist.objects.all(), {"interval": float("inf")}, ValueError, "finite"),
            (Artist.objects.all(), {"interval": "1"}, ValueError, "interval='1'"),
            (Artist.objects.all(), {"models": Artist}, TypeError, "list of model"),
            (Artist.objects.all(), {"models": ["Artist"]}, TypeError, "list of model"),
            (Artist.objects.all(), {"models": []}, ValueError, "given no models"),
        ],
    )
    def test_of_arguments(
        self, queryset: Any, options: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            watch(queryset, **options)
