"""
Django's `django.db.transaction`, with `async with atomic()` and async hooks.

The functions here become methods of Django's `Atomic` and `BaseDatabaseWrapper`; see
vinyl.orm.dualmode.table for which.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import django.db.transaction
from asgiref.sync import iscoroutinefunction
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
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

from vinyl.bridge.calls import Done
from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import (
    current_shield,
    in_bridge,
    run,
    runs_sync,
    suspend_or_refuse,
)
from vinyl.bridge.mode import begin
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.retry import mark_committed, retry_on_conflict
from vinyl.orm.scopes.atomic_scope import (
    AtomicScope,
    after_commit,
    savepoints_around,
)
from vinyl.orm.scopes.run_scope import scope_of_run
from vinyl.orm.scopes.scope import current_scope

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
    "retry_on_conflict",
    "rollback",
    "savepoint",
    "savepoint_commit",
    "savepoint_create",
    "savepoint_rollback",
    "set_autocommit",
    "set_rollback",
]


logger = logging.getLogger("vinyl.orm")

# Django 6.1 renames savepoint(); the new name is there on every version.
savepoint_create = getattr(django.db.transaction, "savepoint_create", savepoint)


def entered(_: None) -> Callable[..., Any]:
    """`Atomic.__aenter__`: hold one connection, and begin."""
    # Django's own, which the table changes later: here the scope is made already.
    begin = Atomic.__enter__

    async def __aenter__(self: Atomic) -> None:
        alias = self.using or DEFAULT_DB_ALIAS
        caller = sys._getframe(1)
        in_generator = caller.f_code.co_flags & inspect.CO_ASYNC_GENERATOR
        scope = AtomicScope(
            current_scope.get(), generator=caller if in_generator else None
        )
        try:
            lease = await scope.acquire(alias)
            scope.enter()
            await run(begin, self)
            scope.savepoints = set(lease.wrapper.savepoint_ids)
        except BaseException:
            scope.close()
            raise
        _scopes_of(self).append(scope)

    return __aenter__


def _scopes_of(block: Atomic) -> list[AtomicScope]:
    """The scopes that *block* has been entered with and not left."""
    return vars(block).setdefault("vinyl_scopes", [])


def _lost_of(entered: list[AtomicScope]) -> AtomicScope:
    """Take out of *entered* the scope whose task is gone."""
    for scope in entered:
        task = None if scope.task is None else scope.task()
        if task is None or task.done():
            break
    else:
        scope = entered[-1]
    entered.remove(scope)
    return scope


def left(_: None) -> Callable[..., Any]:
    """`Atomic.__aexit__`: commit or roll back, and let the connection go."""

    async def __aexit__(self: Atomic, *exc_info: Any) -> None:
        alias = self.using or DEFAULT_DB_ALIAS
        scope = current_scope.get()
        entered = _scopes_of(self)
        if not isinstance(scope, AtomicScope) or scope not in entered:
            if exc_info[0] is GeneratorExit and entered:
                # Python closes a task that is lost, in whatever context runs now.
                _lost_of(entered).abandon()
                return
            raise TransactionManagementError(
                f"An atomic() block on database {alias!r} was left in another task or "
                f"context than it was entered in, which knows nothing of it. Enter "
                f"and leave it in the same coroutine."
            )
        entered.remove(scope)
        if exc_info[0] is GeneratorExit and scope.used_outside:
            logger.warning(
                "An async generator that holds atomic() on database %r was left early "
                "(%s), and its block is rolled back: with it goes what the code around "
                "the generator has written since. Read it to its end, or write after "
                "`async with contextlib.aclosing(generator)`.",
                alias,
                scope.generator and scope.generator.f_code.co_qualname,
            )
        lease = scope.leases[alias]
        started = False
        cancelled: BaseException | None = None

        def leave(*exc_info: Any) -> None:
            nonlocal started
            # Waits for the lock, if a sibling has it.
            _ = connections[alias]
            started = True
            try:
                lease.end_streams()
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)
                raise
            self.__exit__(*exc_info)

        try:
            # What has been begun has to be ended, however often the task is cancelled.
            while not started:
                try:
                    await run(leave, *exc_info)
                except asyncio.CancelledError as error:
                    if started:
                        raise
                    cancelled = error
                    exc_info = (type(error), error, error.__traceback__)
        finally:
            scope.close()
        if cancelled is not None:
            raise cancelled

    return __aexit__


def not_blocking(enter: Callable[..., Any]) -> Callable[..., Any]:
    """
    `Atomic.__enter__` for both modes: says what to write on the event loop. In the
    bridge the block is a scope, as it is on the loop.
    """

    @functools.wraps(enter)
    def __enter__(self: Atomic) -> None:
        if not runs_sync():
            raise NotAwaitedError(
                "`with transaction.atomic()` was used on the event loop, where it "
                "would block. Write `async with transaction.atomic()`."
            )
        enter(self)
        if in_bridge() and not _is_djangos(sys._getframe(1)):
            scope_of_run().begin_block(self.using or DEFAULT_DB_ALIAS, self)

    return __enter__


def _is_djangos(caller: FrameType) -> bool:
    """
    Whether *caller* is Django's code, as of `delete()`. Tasks that receivers of signals
    start in its blocks belong to the code that calls it.
    """
    return caller.f_globals.get("__name__", "").startswith("django.")


def shielding(leave: Callable[..., Any]) -> Callable[..., Any]:
    """
    `Atomic.__exit__`: what it has begun is ended, also when the task is cancelled
    again, so that the caller knows what became of the transaction. It is an error
    where the block believes to be committed, and cannot be.
    """

    @functools.wraps(leave)
    def __exit__(self: Atomic, *exc_info: Any) -> None:
        wrapper = get_connection(self.using)
        if not (isinstance(wrapper, BridgeMixin) and wrapper.is_guarded()):
            leave(self, *exc_info)
            return
        if in_bridge():
            try:
                # Tasks that wait inside for the lock get it neither before nor after
                # the end.
                scope_of_run().end_block(wrapper.alias, self)
            except BaseException as error:
                leave(self, type(error), error, error.__traceback__)
                raise
        spoilt = (
            exc_info[0] is None
            and wrapper.interrupted
            and (wrapper.needs_rollback or wrapper.is_spoilt())
        )
        with current_shield().up():
            leave(self, *exc_info)
        if spoilt:
            raise TransactionManagementError(
                f"A query of this atomic() block on database {wrapper.alias!r} was "
                f"cancelled, as by a timeout, and the block went on; what it did has "
                f"been rolled back. Let the error leave the block, or put what may "
                f"time out into an atomic() of its own inside."
            )

    return __exit__


def decorating(call: Callable[..., Any]) -> Callable[..., Any]:
    """`Atomic.__call__` for every kind of function."""

    @functools.wraps(call)
    def __call__(self: Atomic, fn: Callable[..., Any]) -> Callable[..., Any]:
        if not iscoroutinefunction(fn):
            return use_driver(call(self, awaiting_result(fn)))

        @functools.wraps(fn)
        async def in_block(*args: Any, **kwargs: Any) -> Any:
            # One of its own for each call: it knows what it has been entered with.
            async with copy.copy(self):  # type: ignore[attr-defined]
                return await fn(*args, **kwargs)

        return in_block

    return __call__


def awaiting_result(fn: Callable[..., Any]) -> Callable[..., Any]:
    """*fn*, with a coroutine that it returns awaited before the block ends."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = fn(*args, **kwargs)
        return suspend_or_refuse(result) if isinstance(result, Coroutine) else result

    return call


def returning(_: Any) -> Callable[..., Any]:
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


def registered(register: Callable[..., Any]) -> Callable[..., Any]:
    """
    `on_commit` for both modes. On the event loop outside a transaction, where the hook
    runs at once, that has to be awaited.
    """

    @functools.wraps(register)
    def on_commit(self: Any, func: Any, robust: bool = False) -> Any:
        if self.in_atomic_block or not callable(func):
            register(self, func, robust)
            if runs_sync():
                return None
            if (savepoints := savepoints_around(self.alias)) is not None:
                # Not those of a sibling's nested block that is open just now.
                self.run_on_commit[-1] = (savepoints, func, robust)
            return Done()
        if runs_sync():
            return register(self, Awaiting(func), robust)
        return begin(on_commit, "on_commit", run, _on_own, self.alias, func, robust)

    return on_commit


def _on_own(alias: str, func: Callable[..., Any], robust: bool) -> None:
    connections[alias].on_commit(func, robust)


def accepting_async(run_hooks: Callable[..., Any]) -> Callable[..., Any]:
    """`run_and_clear_commit_hooks` for hooks of both kinds."""

    @functools.wraps(run_hooks)
    def run_and_clear_commit_hooks(self: Any) -> None:
        # Only now: whoever looks at what is registered finds the hooks themselves.
        self.run_on_commit = [
            (savepoints, Awaiting(func), robust)
            for savepoints, func, robust in self.run_on_commit
        ]
        with after_commit(self), current_shield().down():
            try:
                run_hooks(self)
            except DatabaseError as error:
                mark_committed(error)
                raise

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
