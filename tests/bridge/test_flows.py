"""Flows and functions for use_driver give the same in both modes."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from vinyl.exceptions import NotAwaitedError
from vinyl.orm import await_, run, use_driver

pytestmark = pytest.mark.anyio


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


@use_driver
def add(a: int, b: int) -> int:
    return a + b


@use_driver
def sum_twice(a: int, b: int) -> Generator[Any, Any, int]:
    first = yield add, (a, b)
    second = yield add, (), {"a": first, "b": first}
    return second


@use_driver
def composed() -> Generator[Any, Any, int]:
    inner = yield from sum_twice.__wrapped__(1, 2)  # type: ignore[attr-defined]
    outer = yield sum_twice, (inner, 1)
    return outer


@use_driver
def catching() -> Generator[Any, Any, str]:
    try:
        yield int, ("no number",)
    except ValueError as error:
        result = yield str, (type(error).__name__,)
        return result
    return "nothing caught"


class TestUseDriver:
    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            (lambda: add(2, 3), 5),
            (lambda: sum_twice(1, 2), 6),
            (composed, 14),
            (catching, "ValueError"),
        ],
        ids=["plain function", "flow", "composed flows", "flow that catches"],
    )
    def test_gives_the_same_in_both_modes(self, function: Any, expected: Any) -> None:
        async def awaited() -> Any:
            return await function()

        async def bridged() -> Any:
            return await run(function)

        assert function() == expected
        assert asyncio.run(awaited()) == expected
        assert asyncio.run(bridged()) == expected

    async def test_a_plain_function_runs_in_the_bridge(self) -> None:
        assert await use_driver(lambda: await_(double(4)))() == 8

    async def test_a_flow_may_call_coroutine_functions_in_async_mode(self) -> None:
        @use_driver
        def flow() -> Generator[Any, Any, int]:
            result = yield double, (4,)
            return result

        assert await flow() == 8
        assert await run(flow) == 8

    def test_a_coroutine_function_in_a_flow_is_refused_in_sync_mode(self) -> None:
        @use_driver
        def flow() -> Generator[Any, Any, int]:
            result = yield double, (4,)
            return result

        with pytest.raises(NotAwaitedError, match=r"'double' is async"):
            flow()

    async def test_cancellation_reaches_the_flow(self) -> None:
        started = asyncio.Event()
        seen: list[str] = []

        async def wait() -> None:
            started.set()
            await asyncio.Event().wait()

        @use_driver
        def flow() -> Generator[Any, Any, None]:
            try:
                yield wait, ()
            finally:
                seen.append("left")

        task = asyncio.create_task(flow())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["left"]

    @pytest.mark.parametrize(
        "step",
        [add, (add,), (add, 1), "add"],
        ids=["no tuple", "no arguments", "arguments in no tuple", "a name"],
    )
    def test_refuses_a_step_that_is_not_a_call(self, step: Any) -> None:
        @use_driver
        def flow() -> Generator[Any, Any, None]:
            yield step

        with pytest.raises(TypeError, match=r"\(function, args\)"):
            flow()

    def test_refuses_a_coroutine_function(self) -> None:
        with pytest.raises(TypeError, match="double, which is async"):
            use_driver(double)

    async def test_names_the_coroutine_after_the_function(self) -> None:
        call = sum_twice(1, 2)
        assert "sum_twice" in repr(call)
        await call
