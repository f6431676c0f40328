"""An interrupted operation is waited for, and its outcome decides what is raised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vinyl.bridge.cancellation import Shield
from vinyl.orm.backends.settling import Operation, settle, settle_in_thread

pytestmark = pytest.mark.anyio


class Script:
    """An operation that ends at its wait number *length*, and notes what is done."""

    def __init__(self, length: int, outcome: tuple[str] | None) -> None:
        self.length = length
        self.given = outcome
        self.log: list[str] = []

    def ended(self) -> bool:
        return self.log.count("wait") >= self.length

    def interrupt(self) -> Any:
        self.log.append("interrupt")

    def wait(self) -> Any:
        self.log.append("wait")

    def outcome(self) -> tuple[str] | None:
        return self.given


class AsyncScript(Script):
    async def interrupt(self) -> None:
        super().interrupt()
        await asyncio.sleep(0)

    async def wait(self) -> None:
        await asyncio.sleep(0)
        super().wait()


@pytest.fixture(params=[AsyncScript, Script], ids=["on the loop", "in a thread"])
def script(request: pytest.FixtureRequest) -> type[Script]:
    return request.param


async def settled(
    operation: Operation[str], error: BaseException, shield: Shield | None
) -> str:
    if isinstance(operation, AsyncScript):
        return await settle(operation, error, shield)
    return settle_in_thread(operation, error, shield)


CANCELLED = asyncio.CancelledError("by a test")


async def test_is_interrupted_until_it_has_ended(script: type[Script]) -> None:
    operation = script(3, None)
    with pytest.raises(asyncio.CancelledError, match="by a test"):
        await settled(operation, CANCELLED, None)
    assert operation.log == ["interrupt", "wait"] * 3


async def test_what_has_ended_is_not_interrupted(script: type[Script]) -> None:
    operation = script(0, None)
    with pytest.raises(asyncio.CancelledError, match="by a test"):
        await settled(operation, CANCELLED, None)
    assert operation.log == []


async def test_a_rollback_is_not_interrupted(script: type[Script]) -> None:
    operation, shield = script(2, None), Shield()
    with pytest.raises(asyncio.CancelledError), shield.undoing():
        await settled(operation, CANCELLED, shield)
    assert operation.log == ["wait", "wait"]


async def test_success_is_a_cancellation_outside_a_shield(script: type[Script]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await settled(script(1, ("done",)), CANCELLED, None)


async def test_success_counts_in_a_shield(script: type[Script]) -> None:
    shield = Shield()
    assert await settled(script(1, ("done",)), CANCELLED, shield) == "done"
    assert shield.postponed is CANCELLED


async def test_failure_in_a_shield_is_noted_and_raised(script: type[Script]) -> None:
    shield = Shield()
    with pytest.raises(asyncio.CancelledError, match="by a test"):
        await settled(script(1, None), CANCELLED, shield)
    assert shield.raised is CANCELLED


def test_an_interrupt_from_the_keyboard_is_never_postponed() -> None:
    shield = Shield()
    operation = Script(2, ("done",))
    with pytest.raises(KeyboardInterrupt):
        settle_in_thread(operation, KeyboardInterrupt(), shield)
    assert operation.log == ["interrupt", "wait"] * 2
    assert shield.postponed is None


async def test_continues_if_the_task_is_cancelled_again() -> None:
    operation = AsyncScript(5, None)
    task = asyncio.create_task(settled(operation, CANCELLED, None))
    await asyncio.sleep(0)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert operation.log == ["interrupt", "wait"] * 5
