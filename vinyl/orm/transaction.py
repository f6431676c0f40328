"""
Django's `django.db.transaction`, with `async with atomic()` and async hooks.

The functions here become methods of Django's `Atomic` and `BaseDatabaseWrapper`; see
vinyl.orm.dualmode for which.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.transaction import (
    Atomic,
    TransactionManagementError,
    atomic,
    clean_savepoints,
    commit,
    get_autocommit,
    get_connection,
    get_rollback,
    mark_for_rollback_on_error,
    non_atomic_requests,
    on_commit,
    rollback,
    savepoint,
    savepoint_commit,
    savepoint_rollback,
    set_autocommit,
    set_rollback,
)

from vinyl.exceptions import NotAwaitedError
from vinyl.orm.bridge import run, runs_sync, suspend_or_refuse, use_driver
from vinyl.orm.connections import Scope, current_scope

__all__ = [
    "Atomic",
    "TransactionManagementError",
    "atomic",
    "clean_savepoints",
    "commit",
    "get_autocommit",
    "get_connection",
    "get_rollback",
    "mark_for_rollback_on_error",
    "non_atomic_requests",
    "on_commit",
    "rollback",
    "savepoint",
    "savepoint_commit",
    "savepoint_rollback",
    "set_autocommit",
    "set_rollback",
]


def entered(_: None) -> Callable:
    """`Atomic.__aenter__`: hold one connection, and begin."""

    async def __aenter__(self: Atomic) -> None:
        alias = self.using or DEFAULT_DB_ALIAS
        scope = Scope(current_scope.get(), block="atomic()")
        try:
            await scope.acquire(alias)
            scope.enter()
            await run(self.__enter__)
        except BaseException:
            scope.close()
            raise

    return __aenter__


def left(_: None) -> Callable:
    """`Atomic.__aexit__`: commit or roll back, and let the connection go."""

    async def __aexit__(self: Atomic, *exc_info: Any) -> None:
        alias = self.using or DEFAULT_DB_ALIAS
        scope = current_scope.get()
        if scope is None or scope.closed or alias not in scope.leases:
            raise TransactionManagementError(
                f"An atomic() block on database {alias!r} was left in another task or "
                f"context than it was entered in, which knows nothing of it. Enter "
                f"and leave it in the same coroutine."
            )
        try:
            await run(self.__exit__, *exc_info)
        finally:
            scope.close()

    return __aexit__


def not_blocking(enter: Callable) -> Callable:
    """`Atomic.__enter__` for both modes: says what to write on the event loop."""

    @functools.wraps(enter)
    def __enter__(self: Atomic) -> None:
        if not runs_sync():
            raise NotAwaitedError(
                "`with transaction.atomic()` was used on the event loop, where it "
                "would block. Write `async with transaction.atomic()`."
            )
        enter(self)

    return __enter__


def decorating(call: Callable) -> Callable:
    """`Atomic.__call__` for every kind of function."""

    @functools.wraps(call)
    def __call__(self: Atomic, fn: Callable) -> Callable:
        if not inspect.iscoroutinefunction(fn):
            return use_driver(call(self, fn))

        @functools.wraps(fn)
        async def in_block(*args: Any, **kwargs: Any) -> Any:
            async with self:  # type: ignore[attr-defined]
                return await fn(*args, **kwargs)

        return in_block

    return __call__


def accepting_async(register: Callable) -> Callable:
    """`on_commit` for hooks of both kinds: what a hook returns is awaited."""

    @functools.wraps(register)
    def on_commit(self: Any, func: Any, robust: bool = False) -> None:
        if callable(func):
            hook = func

            @functools.wraps(hook)
            def func() -> None:
                result = hook()
                if isinstance(result, Coroutine):
                    suspend_or_refuse(result)

        register(self, func, robust)

    return on_commit
