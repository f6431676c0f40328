"""Views that tell a load balancer whether this process can serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from vinyl.bridge.greenlets import run
from vinyl.orm.pools.registry import configured_pools
from vinyl.web.http.responses import JSONResponse

__all__ = ["alive", "health"]

logger = logging.getLogger("vinyl.health")

# Seconds that the databases have to answer.
TIMEOUT = 2.0

# Aliases whose migrations have been seen to be applied; they stay so.
_migrated: set[str] = set()
# Checks that went on for too long, and are being cancelled.
_late: set[asyncio.Future[Any]] = set()


class _Every:
    """All aliases: a view outside transactions, whatever ATOMIC_REQUESTS says."""

    def __contains__(self, alias: object) -> bool:
        return True


def _probe(view: Callable[..., Any]) -> Callable[..., Any]:
    """*view* for probes: GET and HEAD, never cached, no transaction, any host."""
    probe: Any = never_cache(require_safe(view))
    probe._non_atomic_requests = _Every()
    # Load balancers ask for an address, and the answer does not depend on it.
    probe.host_exempt = True
    return probe


@_probe
async def alive(request: Any) -> JSONResponse:
    """200: the event loop of this process turns. Asks no database."""
    return JSONResponse({"status": "ok"})


@_probe
async def health(request: Any) -> JSONResponse:
    """
    200 if each database answers and has all migrations, else 503; the JSON tells which
    part failed, and the log why.

    An answer comes after 2 s at the latest, also if a server is silent or all
    connections of a pool are in use.

    Switches to the event loop.
    """
    aliases = [alias for alias, *_ in configured_pools()]
    checks = {alias: _answers(alias) for alias in aliases}
    if DEFAULT_DB_ALIAS in checks:
        # No alias has a space in it.
        checks["the migrations"] = _are_applied(DEFAULT_DB_ALIAS)
    databases = await _all(checks)
    ok = set(databases.values()) <= {"ok"}
    report: dict[str, Any] = {"status": "ok" if ok else "unavailable"}
    if "the migrations" in databases:
        report["migrations"] = databases.pop("the migrations")
    report["databases"] = databases
    return JSONResponse(report, 200 if ok else 503)


async def _all(checks: dict[str, Coroutine[Any, Any, str]]) -> dict[str, str]:
    """What each check says; what failed or took too long has a word of its own."""
    tasks = {asyncio.ensure_future(check): name for name, check in checks.items()}
    found = {}
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=TIMEOUT)
    finally:
        for task in tasks:
            if not task.done():
                # A silent server may need long to be told; nobody waits for that here.
                task.cancel()
                _late.add(task)
                task.add_done_callback(_ended)
    for task, name in tasks.items():
        if task in _late:
            logger.warning("The check of %s took more than %s s", name, TIMEOUT)
            found[name] = "timeout"
        elif error := task.exception():
            logger.warning("The check of %s failed", name, exc_info=error)
            found[name] = "failed"
        else:
            found[name] = task.result()
    return found


def _ended(task: asyncio.Future[Any]) -> None:
    _late.discard(task)
    if not task.cancelled():
        task.exception()


async def _answers(alias: str) -> str:
    def ask() -> str:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
        return "ok"

    return await run(ask)


async def _are_applied(alias: str) -> str:
    def ask() -> str:
        executor = MigrationExecutor(connections[alias])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        return "unapplied" if plan else "ok"

    if alias not in _migrated:
        if (found := await run(ask)) != "ok":
            return found
        _migrated.add(alias)
    return "ok"
