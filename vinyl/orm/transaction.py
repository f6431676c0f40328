"""
Django's `django.db.transaction`, with `async with atomic()` and async hooks.

The functions here become methods of Django's `Atomic` and `BaseDatabaseWrapper`; see
vinyl.orm.dualmode for which.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import django.db.transaction
from django.db import DEFAULT_DB_ALIAS, connections
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
from vinyl.orm.calls import Call
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
    "savepoint_create",
    "savepoint_rollback",
    "set_autocommit",
    "set_rollback",
]


# Django 6.1 renames savepoint(); the new name is there on every version.
savepoint_create = getattr(django.db.transaction, "savepoint_create", savepoint)


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


def returning(_: Any) -> Callable:
    """`transaction.on_commit`, which returns what the connection's method returns."""

    def on_commit(func: Any, using: str | None = None, robust: bool = False) -> Any:
        """
        Have *func*, a sync or async callable without arguments, called when the
        transaction has been committed; at once if there is none.

        On the event loop outside a transaction that has to be awaited; inside one it
        may be.

        Args:
            using: The database's alias, None for the default.
            robust: Log an error of *func* and go on with the other hooks.

        Switches to the event loop where it is awaited outside a transaction.
        """
        return get_connection(using).on_commit(func, robust)

    return on_commit


class Registered:
    """What registering a hook returns on the event loop: nothing is left to await."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


def registered(register: Callable) -> Callable:
    """
    `on_commit` for both modes. On the event loop outside a transaction, where the hook
    runs at once, that has to be awaited.
    """

    @functools.wraps(register)
    def on_commit(self: Any, func: Any, robust: bool = False) -> Any:
        if self.in_atomic_block or not callable(func):
            register(self, func, robust)
            return None if runs_sync() else Registered()
        if runs_sync():
            return register(self, Awaiting(func), robust)
        return Call(run(_on_own, self.alias, func, robust), "on_commit")

    return on_commit


def _on_own(alias: str, func: Callable, robust: bool) -> None:
    connections[alias].on_commit(func, robust)


def accepting_async(run_hooks: Callable) -> Callable:
    """`run_and_clear_commit_hooks` for hooks of both kinds."""

    @functools.wraps(run_hooks)
    def run_and_clear_commit_hooks(self: Any) -> None:
        # Only now: whoever looks at what is registered finds the hooks themselves.
        self.run_on_commit = [
            (savepoints, Awaiting(func), robust)
            for savepoints, func, robust in self.run_on_commit
        ]
        run_hooks(self)

    return run_and_clear_commit_hooks


class Awaiting:
    """
    *hook* as sync code: what it returns is awaited if it is a coroutine. In messages
    it looks like the hook.
    """

    def __init__(self, hook: Callable[[], Any]) -> None:
        self.hook = hook

    def __call__(self) -> None:
        result = self.hook()
        if isinstance(result, Coroutine):
            suspend_or_refuse(result)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.hook, name)

    def __repr__(self) -> str:
        return repr(self.hook)
