"""
`atomic()` in both modes: `async with`, and sync blocks inside the bridge.

The functions here patch methods of Django's `Atomic`; see vinyl.orm.dualmode.table.
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
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.transaction import Atomic, TransactionManagementError, get_connection

from vinyl.bridge.async_methods import AsyncMethod
from vinyl.bridge.cancellation import Shield
from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import current_shield, in_bridge, run
from vinyl.bridge.mode import runs_sync, suspend_or_refuse
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import dualmode, scopes
from vinyl.orm.backends.base import BridgeMixin

if TYPE_CHECKING:
    from vinyl.orm.scopes.atomic_scope import AtomicScope

__all__ = ["patch_aenter", "patch_aexit", "patch_call", "patch_enter", "patch_exit"]

logger = logging.getLogger("vinyl.orm")


def patch_aenter(_: None) -> AsyncMethod:
    """`Atomic.__aenter__`: acquire a connection, and begin."""
    # Django's own, which the table patches later: here the scope exists already.
    begin = Atomic.__enter__

    async def __aenter__(self: Atomic) -> None:
        alias = self.using or DEFAULT_DB_ALIAS
        caller = sys._getframe(1)
        in_generator = caller.f_code.co_flags & inspect.CO_ASYNC_GENERATOR
        scope = scopes.atomic_scope.AtomicScope(
            scopes.scope.current_scope.get(), generator=caller if in_generator else None
        )
        try:
            lease = await scope.acquire(alias)
            scope.enter()
            if not dualmode.atomic_on_loop.begin(self, lease):
                await run(begin, self)
            scope.savepoints = set(lease.wrapper.savepoint_ids)
        except BaseException:
            scope.close()
            raise
        _scopes_of(self).append(scope)

    return AsyncMethod(__aenter__)


def _scopes_of(block: Atomic) -> list[AtomicScope]:
    """The scopes that *block* has been entered with and not left."""
    return vars(block).setdefault("vinyl_scopes", [])


def _pop_lost(entered: list[AtomicScope]) -> AtomicScope:
    """Remove from *entered* the scope whose task has ended, and return it."""
    for scope in entered:
        task = None if scope.task is None else scope.task()
        if task is None or task.done():
            break
    else:
        scope = entered[-1]
    entered.remove(scope)
    return scope


def patch_aexit(_: None) -> AsyncMethod:
    """`Atomic.__aexit__`: commit or roll back, and give the connection back."""

    async def __aexit__(self: Atomic, *exc_info: Any) -> None:
        alias = self.using or DEFAULT_DB_ALIAS
        scope = scopes.scope.current_scope.get()
        entered = _scopes_of(self)
        if (
            not isinstance(scope, scopes.atomic_scope.AtomicScope)
            or scope not in entered
        ):
            if exc_info[0] is GeneratorExit and entered:
                # The garbage collector closes a task, in whatever context runs now.
                _pop_lost(entered).abandon()
                return
            raise TransactionManagementError(
                f"An atomic() block on database {alias!r} was left in another task or "
                f"context than it was entered in, where it is not the current block. "
                f"Enter and leave it in the same coroutine."
            )
        entered.remove(scope)
        if exc_info[0] is GeneratorExit and scope.used_outside:
            logger.warning(
                "An async generator that holds atomic() on database %r was left early "
                "(%s), so its block is rolled back, together with what the code around "
                "the generator has written since. Read the generator to its end, or "
                "write after `async with contextlib.aclosing(generator)`.",
                alias,
                scope.generator and scope.generator.f_code.co_qualname,
            )
        lease = scope.leases[alias]
        started = False
        failure: BaseException | None = None

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
            if exc_info[0] is None:
                shield = Shield()
                try:
                    has_ended = await dualmode.atomic_on_loop.commit(
                        self, lease, shield
                    )
                except GeneratorExit:
                    raise
                except BaseException as error:
                    failure = error
                    exc_info = (type(error), error, error.__traceback__)
                else:
                    if shield.postponed is not None:
                        raise shield.postponed
                    if has_ended:
                        return
            # A block that has begun has to end, however often the task is cancelled.
            while not started:
                try:
                    await run(leave, *exc_info)
                except asyncio.CancelledError as error:
                    if started:
                        raise
                    failure = error
                    exc_info = (type(error), error, error.__traceback__)
        finally:
            scope.close()
        if failure is not None:
            raise failure

    return AsyncMethod(__aexit__)


def patch_enter(enter: Callable[..., Any]) -> Callable[..., Any]:
    """
    `Atomic.__enter__` in both modes: an error on the event loop, where it would block.
    In the bridge the block is a scope, as `async with` is on the loop.
    """

    @functools.wraps(enter)
    def __enter__(self: Atomic) -> None:
        if not runs_sync():
            raise NotAwaitedError(
                "`with transaction.atomic()` was used on the event loop, where it "
                "would block. Write `async with transaction.atomic()`."
            )
        enter(self)
        if in_bridge() and not _is_django(sys._getframe(1)):
            scopes.run_scope.scope_of_run().begin_block(
                self.using or DEFAULT_DB_ALIAS, self
            )

    return __enter__


def _is_django(caller: FrameType) -> bool:
    """
    Whether *caller* is Django's code, such as `delete()`, or the plan of it. Tasks that
    receivers of signals start in its blocks belong to the code that calls it.
    """
    return caller.f_globals.get("__name__", "").startswith(
        ("django.", "vinyl.orm.plans.")
    )


def patch_exit(leave: Callable[..., Any]) -> Callable[..., Any]:
    """
    `Atomic.__exit__`: a COMMIT or ROLLBACK that has begun is completed even if the task
    is cancelled again, so that the caller knows the outcome of the transaction. A block
    that ends without an error but cannot be committed raises one.
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
                scopes.run_scope.scope_of_run().end_block(wrapper.alias, self)
            except BaseException as error:
                leave(self, type(error), error, error.__traceback__)
                raise
        spoilt = (
            exc_info[0] is None
            and wrapper.query_was_cancelled
            and (wrapper.needs_rollback or wrapper.has_lost_changes())
        )
        with current_shield().up():
            leave(self, *exc_info)
        if spoilt:
            raise TransactionManagementError(
                f"A query of this atomic() block on database {wrapper.alias!r} was "
                f"cancelled, for instance by a timeout, and the block continued; its "
                f"changes have been rolled back. Let the error leave the block, or put "
                f"the query that may time out into a nested atomic()."
            )

    return __exit__


def patch_call(call: Callable[..., Any]) -> Callable[..., Any]:
    """`Atomic.__call__`: `@atomic` on plain functions and on `async def`."""

    @functools.wraps(call)
    def __call__(self: Atomic, fn: Callable[..., Any]) -> Callable[..., Any]:
        if not iscoroutinefunction(fn):
            return use_driver(call(self, _awaiting_result(fn)))

        @functools.wraps(fn)
        async def in_block(*args: Any, **kwargs: Any) -> Any:
            # One for each call, because it keeps the scope that it was entered with.
            async with copy.copy(self):  # type: ignore[attr-defined]
                return await fn(*args, **kwargs)

        return in_block

    return __call__


def _awaiting_result(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return *fn*, with a coroutine that it returns awaited before the block ends."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = fn(*args, **kwargs)
        return suspend_or_refuse(result) if isinstance(result, Coroutine) else result

    return call
