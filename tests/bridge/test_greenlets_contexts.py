"""Sync code in a copied context: what it awaits stays in its transaction."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db.models.signals import post_save
from django.utils import translation

from tests.records.models import Artist
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.scopes.scope import current_scope

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

color: contextvars.ContextVar[str] = contextvars.ContextVar("color", default="none")


class Undo(Exception):
    """Rolls a block back."""


async def create(name: str) -> None:
    await Artist.objects.create(name=name)


async def names() -> list[str]:
    return list(await Artist.objects.values_list("name", flat=True))


def undone(*steps: Callable[[], Any]) -> None:
    """Make *steps* in a transaction, and roll it back."""
    with pytest.raises(Undo), transaction.atomic():
        for step in steps:
            step()
        raise Undo


def in_copy(fn: Callable[..., Any], *args: Any) -> Any:
    return contextvars.copy_context().run(fn, *args)


@contextmanager
def on_save(receiver: Callable[..., Any]) -> Iterator[None]:
    post_save.connect(receiver, sender=Artist)
    try:
        yield
    finally:
        post_save.disconnect(receiver, sender=Artist)


async def test_what_a_copied_context_awaits_is_rolled_back_with_it() -> None:
    await run(in_copy, undone, lambda: await_(create("ghost")))
    assert await names() == []


async def test_sees_what_the_transaction_has_written() -> None:
    def work() -> None:
        with transaction.atomic():
            Artist.objects.create(name="mine")
            seen.extend(await_(names()))

    seen: list[str] = []
    await run(in_copy, work)
    assert seen == ["mine"]


async def test_in_a_context_copied_inside_a_context() -> None:
    def work() -> None:
        in_copy(undone, lambda: in_copy(await_, create("ghost")))

    await run(in_copy, work)
    assert await names() == []


async def test_a_run_whose_first_query_was_made_in_a_copied_context() -> None:
    def work() -> None:
        in_copy(Artist.objects.count)
        undone(lambda: await_(create("ghost")))

    await run(work)
    assert await names() == []


async def test_inside_a_block_of_the_task() -> None:
    async with transaction.atomic():
        await create("outer")
        await run(in_copy, undone, lambda: await_(create("ghost")))
    assert await names() == ["outer"]


async def test_a_block_entered_and_left_by_sync_code_in_a_copied_context() -> None:
    def work() -> None:
        block = transaction.atomic()
        # As AsyncExitStack does: in the bridge, the object hides these methods.
        await_(type(block).__aenter__(block))
        await_(create("ghost"))
        error = Undo()
        await_(type(block).__aexit__(block, Undo, error, None))
        Artist.objects.create(name="kept")
        assert not connection.in_atomic_block

    await run(in_copy, work)
    assert await names() == ["kept"]


async def test_an_async_receiver_of_a_signal_is_in_the_transaction() -> None:
    async def log(**kwargs: Any) -> None:
        if kwargs["instance"].name == "signed":
            await create("logged")

    with on_save(log):
        await run(in_copy, undone, lambda: Artist.objects.create(name="signed"))
        assert await names() == []
        await run(in_copy, lambda: Artist.objects.create(name="signed"))
    assert await names() == ["logged", "signed"]


async def test_async_to_sync_is_in_the_transaction() -> None:
    await run(in_copy, undone, lambda: async_to_sync(create)("ghost"))
    assert await names() == []


async def test_what_is_awaited_has_the_variables_of_the_code_that_waits() -> None:
    async def look() -> str:
        await asyncio.sleep(0)
        before = color.get()
        color.set("green")
        return before

    def work() -> tuple[str, str]:
        color.set("red")
        return await_(look()), color.get()

    assert await run(in_copy, work) == ("red", "green")
    assert color.get() == "none"


async def test_the_language_is_that_of_the_code_that_waits() -> None:
    async def look() -> str | None:
        await asyncio.sleep(0)
        return translation.get_language()

    def work() -> str | None:
        with translation.override("de"):
            return await_(look())

    assert await run(in_copy, work) == "de"


async def test_a_child_task_inherits_the_transaction() -> None:
    async def in_child(name: str) -> None:
        await asyncio.create_task(create(name))

    await run(in_copy, undone, lambda: await_(in_child("ghost")))
    assert await names() == []


async def test_an_error_and_a_cancellation_arrive() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    def work() -> str:
        try:
            await_(fail())
        except LookupError:
            pass
        try:
            await_(wait_for_ever())
        except asyncio.CancelledError:
            return "cancelled"
        return "not cancelled"

    waits = asyncio.Event()

    async def wait_for_ever() -> None:
        waits.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(run(in_copy, work))
    await waits.wait()
    task.cancel()
    assert await task == "cancelled"


async def test_nothing_of_it_stays_behind() -> None:
    await run(in_copy, undone, lambda: await_(create("ghost")))
    assert current_scope.get() is None
    await create("after")
    assert await names() == ["after"]
