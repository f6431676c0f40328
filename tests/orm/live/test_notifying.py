"""notify(): in both modes, in transactions, and what PostgreSQL does not accept."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import NotSupportedError

from tests.fix_db import only_postgresql, only_sqlite
from vinyl.orm import connection, run, transaction
from vinyl.orm.live import listen, notify

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@only_postgresql
class TestSending:
    async def test_with_the_commit_or_not_at_all(self) -> None:
        async with listen("Orders", "other") as notes:
            with pytest.raises(LookupError):
                async with transaction.atomic():
                    await notify("Orders", "rolled back")
                    raise LookupError
            async with transaction.atomic():
                await notify("Orders", "1")
                await notify("Orders", "1")
                # It is not in this transaction.
                with connection_of_its_own() as other:
                    other.execute("NOTIFY other, 'before'")
            assert (await anext(notes)).payload == "before"
            assert (await anext(notes)).payload == "1"
            await run(notify, "Orders")
            note = await anext(notes)
            assert (note.channel, note.payload) == ("Orders", "")

    async def test_the_longest_payload(self) -> None:
        async with listen("orders") as notes:
            await notify("orders", "ü" * 3_999 + "x")
            assert len((await anext(notes)).payload) == 4_000

    def test_without_a_loop(self) -> None:
        with connection.listen("orders", timeout=10) as notifications:
            notify("orders", "sync")
            assert next(notifications).payload == "sync"


def connection_of_its_own() -> Any:
    import psycopg
    from django.db import connections

    settings = connections["default"].get_connection_params()
    return psycopg.connect(
        host=settings["host"],
        dbname=settings["dbname"],
        user=settings["user"],
        port=settings.get("port"),
        autocommit=True,
    )


@only_postgresql
@pytest.mark.parametrize(
    ("channel", "payload", "error", "message"),
    [
        ("", "", ValueError, r"notify\(\) was given the channel ''"),
        ("x" * 64, "", ValueError, "1 to 63 bytes"),
        (None, "", TypeError, "must be a string"),
        ("orders", 7, TypeError, "payload 7, but a payload must be a string"),
        ("orders", None, TypeError, "payload None"),
        ("orders", "ü" * 4_000, ValueError, "8,000 bytes, but PostgreSQL accepts"),
        ("orders", "a\0b", ValueError, "NUL character"),
        ("orders", "\ud800", ValueError, "lone surrogates"),
    ],
)
def test_what_postgresql_does_not_accept(
    channel: Any, payload: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        notify(channel, payload)


@only_sqlite
async def test_sqlite_has_no_notifications() -> None:
    with pytest.raises(NotSupportedError, match=r"notify\(\) was called for database"):
        await notify("orders")
