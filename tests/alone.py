"""
What a script in a process of its own imports first: Django on the database of the test
that started it, and a few things to say about connections.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import json
import logging
import os

import django
from django.conf import settings
from django.db import connection

__all__ = ["Artist", "connection_ids", "count_twice"]

settings.configure(
    DATABASES={"default": json.loads(os.environ["TEST_DATABASE"])},
    INSTALLED_APPS=["vinyl.orm", "django.contrib.contenttypes", "tests.records"],
    USE_TZ=True,
)
django.setup()
# Its debug mode tells of the waits for a child process, which are meant.
logging.getLogger("asyncio").setLevel(logging.ERROR)

from tests.records.models import Artist  # noqa: E402
from vinyl.orm import await_, run  # noqa: E402


def connection_id() -> int:
    """The server's process, or for SQLite the driver's object."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        return id(connection.connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


async def connection_ids() -> list[int]:
    """Those of three connections in use at the same time."""
    three = asyncio.Barrier(3)

    def hold() -> int:
        number = connection_id()
        await_(three.wait())
        return number

    return sorted(await asyncio.gather(*(run(hold) for _ in range(3))))


def count_twice() -> tuple[int, int]:
    """How many artists there are, by sync code and on an event loop of its own."""

    async def count() -> int:
        return len(await connection_ids()) and await Artist.objects.count()

    return Artist.objects.count(), asyncio.run(count())
