"""`save()` and `delete()` of instances in both modes; see vinyl.orm.dualmode.table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Model

from vinyl.bridge.greenlets import run
from vinyl.bridge.mode import dual
from vinyl.orm import plans

__all__ = ["patch_delete", "patch_save"]


def patch_save(save: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `save()` to be dual-mode. In async mode a plan runs without the bridge, if it
    can.
    """
    if save.__module__ != Model.__module__:
        return dual(save)

    async def in_async(self: Any, *args: Any, **kwargs: Any) -> None:
        if args or not await plans.writes_on_loop.save(self, kwargs):
            await run(save, self, *args, **kwargs)

    return dual(save, in_async=in_async)


def patch_delete(delete: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `delete()` to be dual-mode. In async mode a plan runs without the bridge, if
    it can.
    """
    if delete.__module__ != Model.__module__:
        return dual(delete)

    async def in_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = (
            None if args else await plans.writes_on_loop.delete_instance(self, kwargs)
        )
        if done is None:
            done = await run(delete, self, *args, **kwargs)
        return done

    return dual(delete, in_async=in_async)
