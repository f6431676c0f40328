"""What tests of blocks ask of the database and of the lock on its connection."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.records.models import Artist
from vinyl.orm.scopes.lock import ConnectionLock
from vinyl.orm.scopes.scope import current_scope


async def names() -> list[str]:
    return await Artist.objects.order_by("name").values_list("name", flat=True)


def lock_here() -> ConnectionLock:
    """The lock on the connection of the block that the caller is in."""
    scope = current_scope.get()
    assert scope is not None
    return scope.leases["default"].lock


async def until(condition: Callable[[], Any]) -> None:
    """Let other tasks run until *condition* holds; the test's timeout is the end."""
    while not condition():
        await asyncio.sleep(0)
