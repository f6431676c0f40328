"""Which mode a call is in, and what is dual-mode."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

import pytest
from django.test import override_settings

from vinyl.bridge.calls import Call
from vinyl.bridge.mode import (
    dual,
    dual_if_async,
    is_dual,
    refuse_to_block,
    runs_sync,
    suspend_or_refuse,
)
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import in_bridge, run

pytestmark = pytest.mark.anyio


class TestMode:
    def test_is_sync_without_an_event_loop(self) -> None:
        assert runs_sync()

    async def test_is_async_on_an_event_loop_and_sync_in_the_bridge(self) -> None:
        assert not runs_sync()
        assert await run(runs_sync)

    async def test_is_sync_in_a_thread_beside_the_loop(self) -> None:
        assert await asyncio.to_thread(runs_sync)

    def test_can_be_forced_to_async(self) -> None:
        with override_settings(VINYL={"IS_ASYNC": True}):
            assert not runs_sync()
        assert runs_sync()

    async def test_can_be_forced_to_sync(self) -> None:
        with override_settings(VINYL={"IS_ASYNC": False}):
            assert runs_sync()
        assert not runs_sync()


def work(number: int, *, factor: int = 2) -> tuple[int, bool]:
    """Works on a number."""
    return number * factor, in_bridge()


class Thing:
    @dual
    def save(self, text: str) -> str:
        return f"saved {text}"

    @dual
    async def load(self) -> str:
        await asyncio.sleep(0)
        return "loaded"


class TestDual:
    def test_runs_in_sync_mode(self) -> None:
        assert dual(work)(2, factor=3) == (6, False)

    async def test_is_a_call_in_async_mode_and_runs_in_the_bridge(self) -> None:
        call = dual(work)(2, factor=3)
        assert isinstance(call, Call)
        assert await call == (6, True)

    async def test_runs_where_the_bridge_calls_it(self) -> None:
        assert await run(dual(work), 2) == (4, True)

    async def test_both_ways_may_be_given(self) -> None:
        async def in_async(number: int) -> str:
            return f"async {number}"

        both = dual(work, lambda number: f"sync {number}", in_async)
        assert await both(1) == "async 1"
        assert await run(both, 1) == "sync 1"

    async def test_is_named_after_what_the_user_calls(self) -> None:
        for call, name in (
            (Thing().save("it"), "Thing.save"),
            (dual(work)(2), "work"),
            (dual(work, name="shop.work")(2), "shop.work"),
        ):
            assert repr(call) == f"<Call {name}, to be awaited>"
            await call

    async def test_keeps_the_name_and_the_docstring(self) -> None:
        assert (dual(work).__name__, dual(work).__doc__) == ("work", work.__doc__)

    async def test_an_async_method_is_awaited_where_sync_code_calls_it(self) -> None:
        assert await Thing().load() == "loaded"
        assert await run(Thing().load) == "loaded"

    async def test_a_wrapper_around_an_async_function_is_awaited(self) -> None:
        wrapped = dual(lambda thing: thing.load.__wrapped__(thing))
        assert await wrapped(Thing()) == "loaded"

    def test_an_async_method_without_a_loop_says_why_not(self) -> None:
        with pytest.raises(NotAwaitedError, match=r"'Thing\.load' is async"):
            Thing().load()

    async def test_one_whose_result_is_dropped_is_refused(self) -> None:
        with pytest.raises(NotAwaitedError, match=r"'Thing\.save' .* was dropped"):
            Thing().save("it")


def test_what_is_dual() -> None:
    @functools.wraps(Thing.save)
    def decorated(*args: Any) -> Any: ...

    assert is_dual(Thing.save)
    assert is_dual(decorated)
    assert not is_dual(work)


def test_a_hook_becomes_dual_only_if_it_is_async() -> None:
    async def hook() -> None: ...

    assert dual_if_async(work) is work
    assert is_dual(dual_if_async(hook))


class TestRefuseToBlock:
    def test_not_without_an_event_loop(self) -> None:
        refuse_to_block("A cursor")

    async def test_on_the_event_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(NotAwaitedError, match=r"^A cursor was used on the event"):
            refuse_to_block("A cursor")
        # As for Django's own check.
        monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        refuse_to_block("A cursor")

    async def test_not_in_the_bridge(self) -> None:
        await run(refuse_to_block, "A cursor")


class TestSuspendOrRefuse:
    async def test_waits_in_the_bridge(self) -> None:
        assert await run(suspend_or_refuse, asyncio.sleep(0, "slept")) == "slept"

    def test_closes_what_nothing_can_run(self) -> None:
        coroutine = asyncio.sleep(0)
        with pytest.raises(NotAwaitedError, match="'sleep' is async and was reached"):
            suspend_or_refuse(coroutine)
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_is_sync_decides_by_the_arguments_in_place_of_the_mode() -> None:
    class OwnCall(Call):
        pass

    double = dual(lambda n: 2 * n, is_sync=lambda n: n > 1, call=OwnCall, name="double")
    assert double(2) == 4
    call = double(1)
    assert type(call) is OwnCall
    assert await call == 2
