"""The tasks, the cancellations, the kills, and the restart of the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import psycopg
from django.db import OperationalError, connections

from tests.soak.ledger import Ledger
from vinyl.exceptions import PoolTimeout
from vinyl.orm.pools.registry import pool_for

__all__ = ["Ordeal"]

# How often an operation is cancelled, and within what time, in seconds.
CANCELLED, WITHIN = 0.3, 0.02
# The time between two kills, in seconds.
KILL_PAUSE = (0.1, 0.6)


class Ordeal:
    """
    Puts a ledger under fire for some time, and counts.

    Args:
        ledger: Already open.
        tasks: How many work at the same time.
        kill_url: The server's, where its sessions are to be killed; None kills none.
        restart: Restarts the server, in a thread; returns when it is back.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        tasks: int,
        kill_url: str | None = None,
        restart: Callable[[], None] | None = None,
    ) -> None:
        self.ledger = ledger
        self.tasks = tasks
        self.kill_url = kill_url
        self.restart = restart
        self.ended = asyncio.Event()
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.kills = 0
        # From the return of the server to the first operation that succeeded.
        self.recovery: float | None = None
        self.errors_of_restart = 0
        self.begun = self.back = 0.0
        self.memory = (0, 0)
        self.stats: dict[str, float] = {}

    async def run(self, seconds: float) -> None:
        """Let it go on for *seconds*; then everything comes to rest."""
        before = len(asyncio.all_tasks()), _open_files()
        self.begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self.work()) for _ in range(self.tasks)]
            others = [group.create_task(self.watch(seconds))]
            if self.kill_url is not None:
                others.append(group.create_task(self.kill()))
            if self.restart is not None:
                others.append(group.create_task(self.restarted(seconds / 8)))
            await asyncio.sleep(seconds)
            self.ended.set()
            await asyncio.wait([*workers, *others])
        await self.judge(before)

    async def work(self) -> None:
        dice = self.ledger.dice
        while not self.ended.is_set():
            name = self.ledger.pick()
            try:
                async with _cancelling(dice) as cancelled:
                    await getattr(self.ledger, name)()
                self.outcomes["cancelled" if cancelled() else "done"] += 1
                if self.back and self.recovery is None:
                    self.recovery = time.monotonic() - self.back
            except TimeoutError:
                self.outcomes["cancelled"] += 1
            except OperationalError as error:
                self.outcomes["failed"] += 1
                self.errors[_kind(error)] += 1
                harmless = self.kill_url is not None or self.restart is not None
                if isinstance(error, PoolTimeout) or not harmless:
                    self.wrong.append(f"{name} failed: {error!r}")
                # A server that is away would keep the loop busy.
                await asyncio.sleep(0.01)
            except Exception as error:
                self.outcomes["failed"] += 1
                self.errors[_kind(error)] += 1
                causes = getattr(error, "exceptions", [error])
                if not all(isinstance(cause, OperationalError) for cause in causes):
                    self.wrong.append(f"{name} failed in the wrong way: {error!r}")
            # SQLite's threads, and those who wait, have their turn.
            await asyncio.sleep(0)

    async def kill(self) -> None:
        """Kill a session now and then, but not this one."""
        assert self.kill_url is not None
        dice = self.ledger.dice
        name = connections.settings["default"]["NAME"]
        while not self.ended.is_set():
            await asyncio.sleep(dice.uniform(*KILL_PAUSE))
            with contextlib.suppress(psycopg.OperationalError):
                async with await psycopg.AsyncConnection.connect(
                    self.kill_url, autocommit=True
                ) as session:
                    killed = await session.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = %s AND pid <> pg_backend_pid() "
                        "AND backend_type = 'client backend' "
                        "ORDER BY random() LIMIT 1",
                        [name],
                    )
                    self.kills += killed.rowcount

    async def restarted(self, after: float) -> None:
        assert self.restart is not None
        await asyncio.sleep(after)
        failed = self.outcomes["failed"]
        await asyncio.to_thread(self.restart)
        self.back = time.monotonic()
        while self.recovery is None and not self.ended.is_set():
            await asyncio.sleep(0.001)
        self.errors_of_restart = self.outcomes["failed"] - failed

    async def watch(self, seconds: float) -> None:
        """Note the memory when everything has happened once, and at the end."""
        await asyncio.sleep(seconds / 4)
        early = _memory()
        await self.ended.wait()
        self.memory = early, _memory()

    async def judge(self, before: tuple[int, list[str]]) -> None:
        """Add to `wrong` what does not hold when all has come to rest."""
        tasks, files = before
        pool = pool_for("default")
        deadline = time.monotonic() + 10
        # A stream that was left early is closed in a task of its own.
        while pool.in_use and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self.stats = stats = pool.stats()
        if stats["in_use"] or stats["waiting"]:
            self.wrong.append(f"The pool has not come to rest: {stats}.")
        if stats["size"] > pool.max_size:
            self.wrong.append(f"The pool has outgrown its size: {stats}.")
        self.wrong += await self.ledger.audit()
        pool.close()
        deadline = time.monotonic() + 30
        # SQLite's connections close in their threads.
        while _has_grown(tasks, files) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if _has_grown(tasks, files):
            after = _open_files()
            self.wrong.append(
                f"Tasks and files have grown: {tasks}, {len(files)} to "
                f"{len(asyncio.all_tasks())}, {len(after)}. Of these files more are "
                f"open: {sorted((Counter(after) - Counter(files)).elements())}, and of "
                f"these less: {sorted((Counter(files) - Counter(after)).elements())}."
            )
        if self.kill_url is not None:
            self.wrong += await self.left_in_server()

    async def left_in_server(self) -> list[str]:
        """The sessions that the closed pool has left behind."""
        assert self.kill_url is not None
        async with await psycopg.AsyncConnection.connect(self.kill_url) as session:
            deadline = time.monotonic() + 10
            while True:
                # Not those of others who use the database.
                age = time.monotonic() - self.begun
                left = await session.execute(
                    "SELECT state, query FROM pg_stat_activity WHERE datname = %s "
                    "AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
                    "AND backend_start > now() - %s * interval '1 second'",
                    [connections.settings["default"]["NAME"], age],
                )
                rows = await left.fetchall()
                await session.rollback()
                if not rows or time.monotonic() > deadline:
                    return [f"A session was left behind: {row}." for row in rows]
                await asyncio.sleep(0.05)

    def figures(self) -> dict[str, Any]:
        """What there is to tell."""
        return {
            "operations": sum(self.outcomes.values()),
            **self.outcomes,
            "errors": dict(self.errors),
            "kills": self.kills,
            "transfers acknowledged": len(self.ledger.acknowledged),
            "strays refused": self.ledger.refused_strays,
            "memory, MiB": tuple(round(used / 2**20, 1) for used in self.memory),
            "recovery, s": self.recovery,
            "errors of the restart": self.errors_of_restart,
            "pool": self.stats,
        }


@contextlib.asynccontextmanager
async def _cancelling(dice: random.Random) -> AsyncIterator[Callable[[], bool]]:
    """Cancels what is awaited inside, now and then, in one of the usual ways."""
    if dice.random() >= CANCELLED:
        yield lambda: False
    elif dice.random() < 0.5:
        with anyio.move_on_after(dice.uniform(0, WITHIN)) as scope:
            yield lambda: scope.cancelled_caught
    else:
        async with asyncio.timeout(dice.uniform(0, WITHIN)):
            yield lambda: False


def _kind(error: BaseException) -> str:
    cause = error.__cause__
    if isinstance(error, PoolTimeout) or cause is None:
        return type(error).__name__
    return f"{type(error).__name__} of {type(cause).__name__}"


def _has_grown(tasks: int, files: list[str]) -> bool:
    """Whether the loop has more tasks, or the process more open files."""
    return len(asyncio.all_tasks()) > tasks or len(_open_files()) > len(files)


def _open_files() -> list[str]:
    """
    The open files of the process, without the file of a SQLite database: SQLite keeps
    its descriptors for the next connection while another connection of the process is
    open. An open connection shows by its write-ahead log.
    """
    database = str(connections.settings["default"]["NAME"])
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        # That of the folder itself is closed again.
        with contextlib.suppress(FileNotFoundError):
            file = os.readlink(f"/proc/self/fd/{descriptor}")
            if file != database:
                found.append(file)
    return sorted(found)


def _memory() -> int:
    """The resident memory, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
