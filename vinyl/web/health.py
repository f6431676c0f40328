"""Views that report to a load balancer whether this process can serve."""

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

# How long the databases have to answer, in seconds.
TIMEOUT = 2.0

# Aliases whose migrations were found to be applied, so that nobody asks again.
_migrated: set[str] = set()
# Checks that took too long and are being cancelled.
_late: set[asyncio.Future[Any]] = set()


class _Every:
    """All aliases, to keep a view out of the transactions of ATOMIC_REQUESTS."""

    def __contains__(self, alias: object) -> bool:
        return True


def _probe(view: Callable[..., Any]) -> Callable[..., Any]:
    """Make *view* one for probes: GET and HEAD, no cache, no transaction, any host."""
    probe: Any = never_cache(require_safe(view))
    probe._non_atomic_requests = _Every()
    # Load balancers send an IP address as the host; the response does not use it.
    probe.host_exempt = True
    return probe


@_probe
async def alive(request: Any) -> JSONResponse:
    """
    Return status 200, which shows that the event loop of this process is running. Does
    not use the database. Never switches.
    """
    return JSONResponse({"status": "ok"})


@_probe
async def health(request: Any) -> JSONResponse:
    """
    Return status 200 if every database answers and the default database has no
    unapplied migrations, otherwise 503. The JSON names the check that failed; the
    reason is logged.

    The response takes at most 2 seconds, even if a server does not answer or all
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
    """Return the result of each check: its own, "failed" or "timeout"."""
    tasks = {asyncio.ensure_future(check): name for name, check in checks.items()}
    found = {}
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=TIMEOUT)
    finally:
        for task in tasks:
            if not task.done():
                # Cancelling a query may take long, too; nobody waits for that here.
                task.cancel()
                _late.add(task)
                task.add_done_callback(_ended)
    for task, name in tasks.items():
        if task in _late:
            logger.warning(
                "The health check of %s took longer than %s s", name, TIMEOUT
            )
            found[name] = "timeout"
        elif error := task.exception():
            logger.warning("The health check of %s failed", name, exc_info=error)
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
