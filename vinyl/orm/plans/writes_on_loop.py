"""
The writes of plans on the event loop, outside the bridge: `save()`, `create()`,
`update()` and `delete()`.

Where a write needs the bridge, the functions here do nothing and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import router
from django.db.models import Model

from vinyl.bridge.greenlets import run
from vinyl.orm import plans
from vinyl.orm.observe.events import needs_cursor
from vinyl.orm.plans.execution import guarded
from vinyl.orm.plans.model_saves import can_make
from vinyl.orm.plans.on_loop import find, sending
from vinyl.orm.plans.saves import Save
from vinyl.orm.plans.updates import assigned
from vinyl.orm.plans.values import Unplannable
from vinyl.orm.pools.pool import Pool
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.operation import acquire, acquire_nowait, needs_run, release

__all__ = ["create", "delete", "delete_instance", "save", "update"]


def _may_write(wrapper: Any, source: Lease | Pool) -> bool:
    """
    Whether the statement of a plan can run on *wrapper*, which `acquire()` returned and
    which is connected; if not, it has to run in the bridge. It is not run again if the
    session has ended.

    Never switches.
    """
    if isinstance(source, Lease) and wrapper.may_replace_session():
        if wrapper.session_has_ended():
            return False
    return not needs_cursor(wrapper) and bool(wrapper.can_fetch())


async def update(queryset: Any, kwargs: Mapping[str, Any]) -> int | None:
    """
    Run `queryset.update(**kwargs)` and return the number of rows that it has changed;
    None if it has to run in the bridge.

    Raises: the errors of Django's method.

    Switches to the event loop.
    """
    try:
        last = assigned("update", kwargs.items())
    except Unplannable:
        return None
    queryset._for_write = True
    found = find(queryset, "update", last=last)
    if found is None:
        return None
    wrapper, source = acquire_nowait(found.alias, found.pool) or await acquire(
        found.alias
    )
    try:
        if wrapper.connection is None:
            await run(wrapper.use, wrapper.ensure_connection)
        if not _may_write(wrapper, source):
            return None
        with guarded(wrapper):
            try:
                params = found.plan.bound(found.values, wrapper)
            except Unplannable:
                return None
            rows = await sending(found.statement, params, wrapper)
        count: int = rows[0][0]
        return count
    finally:
        release(wrapper, source)


async def delete(
    queryset: Any, kwargs: Mapping[str, Any]
) -> tuple[int, dict[str, int]] | None:
    """
    Run `queryset.delete(**kwargs)` and return its result; None if it has to run in the
    bridge.

    Raises: the errors of Django's method.

    Switches to the event loop.
    """
    if kwargs or not plans.deletes.deletes_fast(queryset):
        return None
    found = find(queryset, "delete")
    if found is None:
        return None
    wrapper, source = acquire_nowait(found.alias) or await acquire(found.alias)
    try:
        if wrapper.connection is None:
            await run(wrapper.use, wrapper.ensure_connection)
        if not _may_write(wrapper, source):
            return None
        if not wrapper.in_atomic_block and not plans.deletes.is_transaction(wrapper):
            return None
        try:
            params = found.plan.bound(found.values, wrapper)
            rows = await sending(found.statement, params, wrapper)
        except Unplannable:
            return None
        except BaseException:
            # Django's own atomic() block in delete() does the same.
            if wrapper.in_atomic_block:
                wrapper.needs_rollback = True
            raise
        return plans.deletes.result_of(queryset.model, rows[0][0])
    finally:
        release(wrapper, source)


async def delete_instance(
    obj: Any, kwargs: Mapping[str, Any]
) -> tuple[int, dict[str, int]] | None:
    """
    Run `obj.delete(**kwargs)` and return its result; None if it has to run in the
    bridge.

    Raises: the errors of Django's method.

    Switches to the event loop.
    """
    found = plans.deletes.Delete.of(obj, kwargs)
    if found is None or needs_run(found.alias):
        return None
    wrapper, source = acquire_nowait(found.alias) or await acquire(found.alias)
    try:
        if wrapper.connection is None:
            await run(wrapper.use, wrapper.ensure_connection)
        if not _may_write(wrapper, source):
            return None
        plan = found.plan(wrapper)
        if plan is None or plan.statement is None or not plan.is_djangos:
            return None
        with guarded(wrapper):
            try:
                params = plan.bound(([found.key],), wrapper)
            except Unplannable:
                return None
            rows = await sending(plan.statement, params, wrapper)
        return found.finish(rows[0][0])
    finally:
        release(wrapper, source)


async def save(obj: Any, kwargs: Mapping[str, Any]) -> bool:
    """
    Run `obj.save(**kwargs)` and return True; False if it has to run in the bridge.

    Raises: the errors of Django's method.

    Switches to the event loop.
    """
    found = Save.of(obj, kwargs, on_loop=True)
    if found is None or needs_run(found.alias):
        return False
    wrapper, source = acquire_nowait(found.alias) or await acquire(found.alias)
    try:
        if wrapper.connection is None:
            await run(wrapper.use, wrapper.ensure_connection)
        if not _may_write(wrapper, source):
            return False
        with guarded(wrapper):
            write = found.bound(wrapper)
            if write is None or write.statement is None:
                return False
            rows = await sending(write.statement, write.params, wrapper)
            if not found.finish(rows, wrapper):
                # Before another task that saves the object gets the connection.
                insert = partial(Model.save, obj, force_insert=True, using=found.alias)
                await run(wrapper.use, insert)
        return True
    finally:
        release(wrapper, source)


async def create(queryset: Any, kwargs: Mapping[str, Any]) -> Any:
    """
    Run `queryset.create(**kwargs)` and return the object; None if it has to run in the
    bridge.

    Raises: the errors of Django's method.

    Switches to the event loop.
    """
    model = queryset.model
    if queryset._db is None and router.routers:
        return None
    if model.save is not Model.save or not can_make(model, kwargs):
        return None
    obj = model(**kwargs)
    queryset._for_write = True
    given = {"force_insert": True, "using": queryset.db}
    if not await save(obj, given):
        await run(model.save, obj, **given)
    if hasattr(queryset, "_fetch_mode"):
        # Since Django 6.1.
        obj._state.fetch_mode = queryset._fetch_mode
    return obj
