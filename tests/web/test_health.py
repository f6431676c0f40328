"""What a load balancer is told."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from tests.fix_db import only_postgresql, only_sqlite
from tests.proxy import proxy
from tests.settings import database
from tests.web.serving import serving
from vinyl.orm import run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.web import health as module
from vinyl.web import path
from vinyl.web.health import alive, health

pytestmark = pytest.mark.anyio

PATTERNS = path("health/", health), path("alive/", alive)
SECURITY = ["vinyl.web.security.SecurityMiddleware"]


@pytest.fixture(autouse=True)
def no_migrations_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_migrated", set())
    yield
    assert not module._late


async def test_all_is_well(db: str, queries: list[str]) -> None:
    async with serving(*PATTERNS) as http:
        response = await http.get("/health/")
        assert response.status_code == 200
        assert response.json() == {
            "status": "ok",
            "migrations": "ok",
            "databases": {"default": "ok"},
        }
        assert "no-store" in response.headers["cache-control"]
        queries.clear()
        assert (await http.head("/health/")).status_code == 200
        # That migrations have been applied is known by now.
        assert queries == ["SELECT 1"]
        assert (await http.post("/health/")).status_code == 405


async def test_alive_asks_no_database(db: str, queries: list[str]) -> None:
    async with serving(*PATTERNS) as http:
        assert (await http.get("/alive/")).json() == {"status": "ok"}
    assert queries == []


async def test_migrations_that_are_not_applied(db: str) -> None:
    def forget(*names: str) -> None:
        recorder = MigrationRecorder(connections["default"])
        for name in names:
            recorder.record_unapplied("records", name)

    def names() -> list[str]:
        recorder = MigrationRecorder(connections["default"])
        return [name for app, name in recorder.applied_migrations() if app == "records"]

    def remember(*names: str) -> None:
        recorder = MigrationRecorder(connections["default"])
        for name in names:
            recorder.record_applied("records", name)

    applied = await run(names)
    await run(forget, *applied)
    try:
        async with serving(*PATTERNS) as http:
            response = await http.get("/health/")
            assert response.status_code == 503
            assert response.json() == {
                "status": "unavailable",
                "migrations": "unapplied",
                "databases": {"default": "ok"},
            }
            await run(remember, *applied)
            applied = []
            assert (await http.get("/health/")).status_code == 200
    finally:
        await run(remember, *applied)


async def test_any_host_may_ask(db: str) -> None:
    async with serving(
        *PATTERNS, path("", alive.__wrapped__), MIDDLEWARE=SECURITY
    ) as http:
        headers = {"host": "10.1.2.3:8000"}
        assert (await http.get("/health/", headers=headers)).status_code == 200
        assert (await http.get("/", headers=headers)).status_code == 400
        assert (await http.get("/nowhere/", headers=headers)).status_code == 400


@contextmanager
def second_database(settings: dict[str, Any]) -> Iterator[None]:
    connections.settings["second"] = connections.configure_settings(
        {"default": {}, "second": settings}
    )["second"]
    try:
        yield
    finally:
        del connections.settings["second"]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    return 0.3


@only_sqlite
async def test_a_database_that_cannot_be_opened(
    db: str, caplog: pytest.LogCaptureFixture
) -> None:
    with second_database(database("sqlite:///no/such/folder/secret.sqlite3")):
        async with serving(*PATTERNS) as http:
            response = await http.get("/health/")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "migrations": "ok",
        "databases": {"default": "ok", "second": "failed"},
    }
    assert "secret" not in response.text
    assert "unable to open database file" in caplog.text


@only_postgresql
async def test_a_pool_whose_connections_are_all_in_use(
    db: str, soon: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.settings["default"]["OPTIONS"]["pool"] = {"max_size": 1}
    try:
        async with serving(*PATTERNS) as http:
            assert (await http.get("/health/")).status_code == 200
            taken, free = asyncio.Event(), asyncio.Event()

            async def hold() -> None:
                async with transaction.atomic():
                    await run(connections["default"].ensure_connection)
                    taken.set()
                    await free.wait()

            holder = asyncio.create_task(hold())
            await taken.wait()
            begin = time.monotonic()
            response = await http.get("/health/")
            assert time.monotonic() - begin < soon + 5
            assert response.status_code == 503
            assert response.json()["databases"] == {"default": "timeout"}
            # Nor does a probe that is cancelled leave anything in the queue.
            monkeypatch.setattr(module, "TIMEOUT", 60)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(soon):
                    await http.get("/health/")
            async with asyncio.timeout(30):
                while module._late:
                    await asyncio.sleep(0.01)
            assert pool_for("default").stats()["waiting"] == 0
            free.set()
            await holder
            assert (await http.get("/health/")).status_code == 200
    finally:
        del connections.settings["default"]["OPTIONS"]["pool"]


@only_postgresql
async def test_a_server_that_stops_and_comes_back(
    db: str, postgres_url: str, soon: float
) -> None:
    async with proxy(postgres_url) as between:
        setting = database(postgres_url)
        setting |= {"HOST": "127.0.0.1", "PORT": str(between.port)}
        setting["OPTIONS"] = {}
        # Also where each view would be in a transaction.
        with second_database(setting | {"ATOMIC_REQUESTS": True}):
            async with serving(*PATTERNS) as http:
                assert (await http.get("/health/")).status_code == 200
                between.freeze()
                response = await http.get("/health/")
                assert response.status_code == 503
                found = response.json()["databases"]
                assert found == {"default": "ok", "second": "timeout"}
                assert (await http.get("/alive/")).status_code == 200
                between.thaw()
                between.cut()
                async with asyncio.timeout(30):
                    while (await http.get("/health/")).status_code != 200:
                        await asyncio.sleep(0.05)
                    while module._late:
                        await asyncio.sleep(0.05)
