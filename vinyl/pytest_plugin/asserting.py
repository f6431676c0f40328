"""Assertions about queries, and running the hooks of `on_commit()`, in tests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connections

from vinyl.bridge.mode import runs_sync
from vinyl.orm.contrib.commands import wait_in_loop
from vinyl.orm.observe.recorder import Recording, recording

__all__ = ["OnCommitCallbacks", "assert_num_queries"]


@contextmanager
def assert_num_queries(
    num: int, *, exact: bool = True, using: str | None = None
) -> Iterator[Recording]:
    """
    Fail the test if the block makes another number of queries. Child tasks and requests
    of the client count.

    Args:
        num: The number of queries.
        exact: If false, there may be fewer.
        using: Count only those to this database.

    Returns: A context manager that gives the recording, whose `queries` have `sql`,
        `params`, `seconds` and `callsite`.

    Never switches.
    """
    __tracebackhide__ = True
    with recording(full=True) as record:
        yield record
    queries = [each for each in record.queries if using in (None, each.alias)]
    if len(queries) == num or (not exact and len(queries) < num):
        return
    shown = "\n".join(
        f"{place}. {query.sql} {query.params}" for place, query in enumerate(queries, 1)
    )
    made = "1 query was" if len(queries) == 1 else f"{len(queries)} queries were"
    most = "" if exact else "at most "
    pytest.fail(f"{made} made instead of {most}{num}:\n{shown}")


class OnCommitCallbacks:
    """
    Collects the hooks of `transaction.on_commit()` that are registered in its block,
    which a test's transaction never runs. With `execute` it runs them at the end of the
    block: `with` in plain tests, `async with` in async ones.

    Args:
        execute: Whether to run them, those that are `async def` included.
        using: The database.
    """

    def __init__(self, *, execute: bool = True, using: str = DEFAULT_DB_ALIAS) -> None:
        self.execute = execute
        self.using = using
        self.callbacks: list[Callable[[], Any]] = []
        self.start = 0

    def __enter__(self) -> list[Callable[[], Any]]:
        if self.execute and not runs_sync():
            raise TypeError(
                "`with on_commit_callbacks()` was used on the event loop, where it "
                "cannot wait for the hooks. Write `async with`."
            )
        self.start = len(connections[self.using].run_on_commit)
        return self.callbacks

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for callback in self._registered(kind):
            result = callback()
            if isinstance(result, Coroutine):
                wait_in_loop(result)

    async def __aenter__(self) -> list[Callable[[], Any]]:
        self.start = len(connections[self.using].run_on_commit)
        return self.callbacks

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        from vinyl.orm import run

        for callback in self._registered(kind):
            # A plain hook is sync code, as after a commit.
            result = await run(callback)
            if isinstance(result, Coroutine):
                await result

    def _registered(
        self, kind: type[BaseException] | None
    ) -> Iterator[Callable[[], Any]]:
        """Yield the hooks to run, those that hooks register included."""
        while kind is None:
            registered = connections[self.using].run_on_commit[self.start :]
            if not registered:
                break
            self.start += len(registered)
            for _, callback, *_ in registered:
                self.callbacks.append(callback)
                if self.execute:
                    yield callback
