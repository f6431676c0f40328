"""Jobs of procrastinate, deferred on vinyl's connections and run by a real worker."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from tests.fix_db import default_database
from tests.postgres import empty_database
from tests.settings import database
from vinyl.orm import run

procrastinate = pytest.importorskip(
    "procrastinate", reason="needs procrastinate, of the extra test"
)
pytestmark = pytest.mark.anyio

done: list[Any] = []


@pytest.fixture
def app(postgres_url: str) -> Iterator[Any]:
    """An app with one task, on a database of its own."""
    from procrastinate.contrib.django.django_connector import DjangoConnector

    done.clear()
    with empty_database(postgres_url) as url, default_database(database(url)):
        app = procrastinate.App(connector=DjangoConnector())
        app.conninfo = url

        def note(value: str) -> None:
            done.append(value)

        app.note = app.task(name="note")(note)
        app.schema_manager.apply_schema()
        connection.close()
        yield app


async def jobs() -> int:
    rows = await run(execute, "SELECT count(*) FROM procrastinate_jobs")
    return int(rows[0][0])


def execute(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


async def work(app: Any) -> None:
    connector = procrastinate.PsycopgConnector(conninfo=app.conninfo)
    with app.replace_connector(connector):
        async with app.open_async():
            await app.run_worker_async(wait=False, install_signal_handlers=False)


async def test_a_job_takes_part_in_the_block(app: Any) -> None:
    with pytest.raises(LookupError):
        async with transaction.atomic():
            await app.note.defer_async(value="rolled back")
            assert await run(execute, "SELECT status::text FROM procrastinate_jobs")
            raise LookupError
    async with transaction.atomic():
        await app.note.defer_async(value="committed")
        # Another connection does not see it yet.
        await work(app)
        assert done == []
    await work(app)
    assert done == ["committed"]


async def test_a_job_outside_a_block(app: Any) -> None:
    await app.note.defer_async(value="alone")
    await run(app.note.defer, value="in the bridge")
    assert await jobs() == 2
    await work(app)
    assert sorted(done) == ["alone", "in the bridge"]


async def test_deferring_needs_no_thread(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    wrapper_class = type(app.connector.connection)
    cursor = wrapper_class.cursor

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        threads.add(threading.get_ident())
        return cursor(self, *args, **kwargs)

    monkeypatch.setattr(wrapper_class, "cursor", noted)
    await app.note.defer_async(value="x")
    assert threads == {threading.get_ident()}


async def test_errors_are_procrastinates_own(app: Any) -> None:
    from procrastinate.exceptions import ConnectorException

    with pytest.raises(ConnectorException):
        await app.connector.execute_query_async("SELECT no_such_column")
