"""
Django's `django.db.transaction` in both modes, with `retry_on_conflict()`.

`async with atomic()` and commit hooks are in vinyl.orm.dualmode: atomic.py and
commit_hooks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

import django.db.transaction
from django.db.transaction import (
    TransactionManagementError,
    clean_savepoints,
    get_connection,
    get_rollback,
    mark_for_rollback_on_error,
    non_atomic_requests,
    savepoint,
    set_autocommit,
    set_rollback,
)

from vinyl.bridge.imports import importer_of
from vinyl.bridge.mode import dual

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

if TYPE_CHECKING:
    from vinyl.orm.retry import retry_on_conflict

    class Atomic(django.db.transaction.Atomic):
        """Django's, whose stubs do not know `async with`."""

        async def __aenter__(self) -> None: ...
        async def __aexit__(self, *exc_info: object) -> None: ...

else:
    from django.db.transaction import Atomic

    __getattr__ = importer_of(__name__, {"retry_on_conflict": "vinyl.orm.retry"})

F = TypeVar("F", bound=Callable[..., Any])


class MakeAtomic(Protocol):
    """`atomic()`: a decorator, or what makes one that is a context manager as well."""

    @overload
    def __call__(self, using: F) -> F: ...

    @overload
    def __call__(
        self, using: str | None = None, savepoint: bool = True, durable: bool = False
    ) -> Atomic: ...


atomic = cast(MakeAtomic, django.db.transaction.atomic)
get_autocommit: Callable[..., Any] = django.db.transaction.get_autocommit

# Django's drop what the connection's methods of the same names return, which has to be
# awaited on the event loop.
commit = dual(django.db.transaction.commit)
rollback = dual(django.db.transaction.rollback)
savepoint_commit = dual(django.db.transaction.savepoint_commit)
savepoint_rollback = dual(django.db.transaction.savepoint_rollback)

# Django 6.1 renames savepoint(); the new name is there on every version.
savepoint_create: Callable[..., Any] = getattr(
    django.db.transaction, "savepoint_create", savepoint
)


def on_commit(
    func: Callable[[], Any], using: str | None = None, robust: bool = False
) -> Any:
    """
    Call *func* after the transaction has been committed, or immediately if there is no
    transaction.

    On the event loop, await the result outside a transaction. Inside one, awaiting it
    is optional.

    Args:
        func: A sync or async callable without arguments.
        using: The alias of the database; None for the default.
        robust: Whether to log an error of *func* and call the remaining hooks.

    Raises:
        TypeError: *func* cannot be called.

    Switches to the event loop if it is awaited outside a transaction.
    """
    return get_connection(using).on_commit(func, robust)
