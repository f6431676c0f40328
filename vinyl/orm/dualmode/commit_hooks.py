"""
Hooks of `transaction.on_commit()` in both modes, sync and async ones.

The functions here patch Django's `django.db.transaction` and methods of its
`BaseDatabaseWrapper`; see vinyl.orm.dualmode.table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from django.db import DatabaseError, connections

from vinyl.bridge.calls import Done
from vinyl.bridge.greenlets import current_shield, run
from vinyl.bridge.mode import dual, runs_sync, suspend_or_refuse
from vinyl.orm import scopes, transaction

__all__ = [
    "patch_connection_on_commit",
    "patch_on_commit",
    "patch_run_and_clear_commit_hooks",
]


def patch_on_commit(_: Any) -> Callable[..., Any]:
    """`django.db.transaction.on_commit`, so that its result can be awaited."""
    return transaction.on_commit


def patch_connection_on_commit(register: Callable[..., Any]) -> Callable[..., Any]:
    """
    `connection.on_commit()` in both modes. On the event loop outside a transaction,
    where the hook is called at once, it has to be awaited.
    """

    def call_hook(self: Any, func: Any, robust: bool) -> Any:
        return register(self, AwaitedHook(func), robust)

    def call_hook_async(
        self: Any, func: Any, robust: bool
    ) -> Coroutine[Any, Any, None]:
        return run(_call_hook, self.alias, func, robust)

    call_now = dual(register, call_hook, call_hook_async, name="on_commit")

    @functools.wraps(register)
    def on_commit(self: Any, func: Any, robust: bool = False) -> Any:
        if self.in_atomic_block or not callable(func):
            register(self, func, robust)
            if runs_sync():
                return None
            if (
                savepoints := scopes.atomic_scope.savepoints_around(self.alias)
            ) is not None:
                # Not those of a sibling's nested block that is open at the moment.
                self.run_on_commit[-1] = (savepoints, func, robust)
            return Done()
        return call_now(self, func, robust)

    return on_commit


def _call_hook(alias: str, func: Callable[[], Any], robust: bool) -> None:
    connections[alias].on_commit(func, robust)


def patch_run_and_clear_commit_hooks(
    run_hooks: Callable[..., Any],
) -> Callable[..., Any]:
    """`run_and_clear_commit_hooks()` for hooks of both kinds."""

    @functools.wraps(run_hooks)
    def run_and_clear_commit_hooks(self: Any) -> None:
        # Not when they are registered: code that looks at `run_on_commit` finds the
        # hooks themselves.
        self.run_on_commit = [
            (savepoints, AwaitedHook(func), robust)
            for savepoints, func, robust in self.run_on_commit
        ]
        with scopes.atomic_scope.after_commit(self), current_shield().down():
            try:
                run_hooks(self)
            except DatabaseError as error:
                # Imported with the first such error.
                from vinyl.orm.retry import mark_committed

                mark_committed(error)
                raise

    return run_and_clear_commit_hooks


class AwaitedHook:
    """
    A hook as sync code: a coroutine that it returns is awaited.

    Args:
        hook: The user's hook, which messages show in place of this object.
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
