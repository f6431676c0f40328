"""A primary that is killed under load, and its standby that is promoted."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections

from tests.benchmarks.failover import fail_over
from tests.fix_db import default_at, default_database, only_postgresql
from tests.postgres import own_server
from tests.records.models import Artist
from tests.settings import database
from tests.standby import Pair, primary_with_standby
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


@pytest.fixture(scope="module")
def primary() -> Iterator[Any]:
    with own_server() as server, default_database(database(server.get_uri())):
        call_command("migrate", verbosity=0)
        connections["default"].close()
        yield server


@pytest.fixture
async def pair(db: str, primary: Any) -> AsyncIterator[Pair]:
    """A primary and its standby. The default database is the one that is writable."""
    with primary_with_standby(primary) as pair:
        # Not the database of `db`, which stays on its server.
        with default_at(**{**database(primary.get_uri()), **pair.settings}):
            yield pair
            await close_pools()


async def test_under_load(pair: Pair) -> None:
    found = await fail_over(pair, clients=4, successes=60, detection=0.3)
    assert found.lost == set()
    assert {error for kind, error in found.errors} <= {OperationalError}
    # Reads outside a transaction are repeated, and new connections wait.
    assert {kind for kind, error in found.errors} <= {"write", "block"}
    # Nothing fails but what was under way.
    assert found.errors.total() <= 8
    pool = pool_for("default")
    assert pool.in_use == {}
    assert pool.outage.latest == -math.inf


async def test_a_server_whose_role_is_not_the_one_asked_for(pair: Pair) -> None:
    """As long as the standby is not promoted, a new connection waits."""
    for host, role in (
        (pair.primary_folder, "read-only"),
        (pair.primary_folder, "standby"),
        (str(pair.folder), "primary"),
        (str(pair.folder), "read-write"),
    ):
        options = {"target_session_attrs": role}
        with default_at(HOST=host, OPTIONS=options):
            await close_pools()
            writing = asyncio.create_task(Artist.objects.acreate(name=role))
            while pool_for("default").outage.latest == -math.inf:
                if writing.done():
                    pytest.fail(f"{role}: {writing.exception()!r}")
                await asyncio.sleep(0.005)
            if role == "read-write":
                await asyncio.to_thread(pair.promote)
                assert (await writing).name == role
            else:
                writing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await writing
            await close_pools()
