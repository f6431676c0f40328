"""The bridge: result, error, cancellation, nesting, context, misuse, nothing leaked."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import sys
import threading
import weakref

import greenlet
import pytest

from tests.records.models import Artist
from vinyl.bridge.calls import Done
from vinyl.bridge.cancellation import decide
from vinyl.bridge.greenlets import (
    MAX_IDLE,
    _idle,
    active_shield,
    current_bridge,
    current_shield,
)
from vinyl.exceptions import BridgeError
from vinyl.orm import await_, in_bridge, run

pytestmark = pytest.mark.anyio

color: contextvars.ContextVar[str] = contextvars.ContextVar("color", default="none")


def postpone(cancelled: asyncio.CancelledError) -> None:
    """What a driver does if its operation succeeds although it was cancelled."""
    assert decide(("result",), cancelled, active_shield()) == "result"


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


class TestRun:
    async def test_returns_what_the_function_returns(self) -> None:
        assert await run(lambda a, b=0: a + b, 1, b=2) == 3

    async def test_waits_on_the_event_loop(self) -> None:
        def sync() -> int:
            return await_(double(await_(double(5))))

        assert await run(sync) == 20

    async def test_lets_other_tasks_run_meanwhile(self) -> None:
        gate = asyncio.Event()

        async def open_gate() -> None:
            gate.set()

        opener = asyncio.create_task(open_gate())
        assert await run(lambda: await_(gate.wait())) is True
        await opener

    async def test_raises_what_the_function_raises(self) -> None:
        with pytest.raises(ZeroDivisionError):
            await run(lambda: 1 / 0)

    async def test_throws_the_error_of_the_awaited_into_the_function(self) -> None:
        async def fail() -> None:
            raise LookupError("gone")

        def sync() -> str:
            try:
                await_(fail())
            except LookupError as error:
                return f"caught {error}"
            return "nothing caught"

        assert await run(sync) == "caught gone"

    async def test_nests(self) -> None:
        async def inner() -> int:
            assert not in_bridge()
            return await run(lambda: await_(double(3)) + 1)

        assert await run(lambda: await_(inner()) * 10) == 70

    async def test_keeps_its_greenlet_for_the_next_run(self) -> None:
        first = await run(current_bridge)
        assert await run(current_bridge) is first
        assert await run(lambda: await_(run(current_bridge))) is not first

    async def test_keeps_nothing_of_a_run_for_the_next(self) -> None:
        class Thing:
            pass

        def sync(thing: Thing) -> Thing:
            vars(current_bridge())["left"] = thing
            color.set("blue")
            held.set(thing)
            return thing

        held: contextvars.ContextVar[Thing] = contextvars.ContextVar("held")
        thing = await asyncio.create_task(run(sync, Thing()))
        gone = weakref.ref(thing)
        del thing
        # Lets go of the finished task, which woke this one.
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None
        assert await run(lambda: (color.get(), sys.exception())) == ("none", None)
        assert not hasattr(await run(current_bridge), "left")

    async def test_a_failed_run_takes_its_greenlet_with_it(self) -> None:
        failed = await run(current_bridge)
        with pytest.raises(ZeroDivisionError):
            await run(lambda: 1 / 0)
        assert failed.dead
        assert await run(current_bridge) is not failed

    async def test_returns_an_exit_of_its_greenlet(self) -> None:
        def leave() -> None:
            raise greenlet.GreenletExit("early")

        assert isinstance(await run(leave), greenlet.GreenletExit)
        assert await run(lambda: "next") == "next"

    async def test_more_runs_than_are_kept_at_rest(self) -> None:
        barrier = asyncio.Barrier(MAX_IDLE + 20)
        runs = [run(lambda: await_(barrier.wait())) for _ in range(barrier.parties)]
        assert len(await asyncio.gather(*runs)) == barrier.parties
        assert len(_idle.bridges) == MAX_IDLE

    async def test_runs_side_by_side_in_tasks(self) -> None:
        barrier = asyncio.Barrier(5)

        def sync(number: int) -> int:
            await_(barrier.wait())
            return number

        results = await asyncio.gather(*(run(sync, n) for n in range(5)))
        assert results == [0, 1, 2, 3, 4]

    async def test_starts_no_thread(self, started_threads: list[str]) -> None:
        await run(lambda: await_(double(1)))
        assert started_threads == []

    async def test_keeps_the_task(self) -> None:
        task = asyncio.current_task()
        assert await run(asyncio.current_task) is task
        assert await run(lambda: threading.get_ident()) == threading.get_ident()


class TestContext:
    async def test_variables_go_in_and_come_out(self) -> None:
        color.set("red")

        def sync() -> str:
            seen = color.get()
            color.set("blue")
            return seen

        assert await run(sync) == "red"
        assert color.get() == "blue"

    async def test_the_awaited_code_shares_the_context(self) -> None:
        async def paint() -> None:
            color.set("green")

        await run(lambda: await_(paint()))
        assert color.get() == "green"

    async def test_the_exception_being_handled_is_visible_inside(self) -> None:
        try:
            raise ValueError("outer")
        except ValueError as error:
            traceback = error.__traceback__
            assert await run(sys.exception) is error
            assert error.__traceback__ is traceback
        assert await run(sys.exception) is None

    async def test_an_error_raised_while_handling_is_chained(self) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            try:
                raise ValueError("outer")
            except ValueError:
                await run(lambda: 1 / 0)
        assert isinstance(caught.value.__context__, ValueError)

    async def test_an_error_of_what_is_awaited_while_handling_is_chained(self) -> None:
        async def fail() -> None:
            try:
                raise KeyError("inner")
            except KeyError:
                [].pop()

        def sync() -> None:
            try:
                raise ValueError("handled")
            except ValueError:
                await_(fail())

        for _ in range(2):
            with pytest.raises(IndexError) as caught:
                await run(sync)
            chain = [caught.value.__context__]
            while chain[-1] is not None:
                chain.append(chain[-1].__context__)
            assert [*map(type, chain)] == [KeyError, ValueError, type(None)]

    async def test_an_error_is_not_chained_to_itself_or_twice(self) -> None:
        async def fail(error: BaseException) -> None:
            raise error

        def sync() -> None:
            try:
                raise first
            except ValueError as handled:
                with pytest.raises(ValueError, match="first") as caught:
                    await_(fail(handled))
                assert caught.value is handled
                assert handled.__context__ is None
                for _ in range(2):
                    with pytest.raises(LookupError):
                        await_(fail(second))
                ring[0].__context__, ring[1].__context__ = ring[1], ring[0]
                with pytest.raises(OSError, match="0"):
                    await_(fail(ring[0]))
                raise

        first, second = ValueError("first"), LookupError("second")
        ring = OSError("0"), OSError("1")
        with pytest.raises(ValueError, match="first"):
            await run(sync)
        assert (first.__context__, second.__context__) == (None, first)
        assert (ring[0].__context__, ring[1].__context__) == (ring[1], first)


class TestCancellation:
    async def test_reaches_the_sync_code_where_it_waits(self) -> None:
        waiting = asyncio.Event()
        seen: list[str] = []

        async def wait() -> None:
            waiting.set()
            await asyncio.Event().wait()

        def sync() -> None:
            try:
                await_(wait())
            except asyncio.CancelledError:
                seen.append("cancelled")
                await_(double(1))
                seen.append("cleaned up")
                raise

        task = asyncio.create_task(run(sync))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["cancelled", "cleaned up"]

    async def test_one_that_a_shield_held_back_ends_the_next_wait(
        self, db: str
    ) -> None:
        coroutine = double(1)

        def sync() -> None:
            # From here on the run has a connection, and lends it.
            Artist.objects.count()
            with current_shield().up():
                postpone(asyncio.CancelledError("came while it committed"))
            await_(coroutine)

        with pytest.raises(asyncio.CancelledError, match="while it committed"):
            await run(sync)
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED

    async def test_one_of_a_hook_is_not_lost(self) -> None:
        def sync() -> None:
            with current_shield().up(), current_shield().down():
                # As a hook that commits a transaction of its own.
                with current_shield().up():
                    postpone(asyncio.CancelledError("came to the hook"))

        with pytest.raises(asyncio.CancelledError, match="to the hook"):
            await run(sync)

    async def test_a_timeout_ends_the_wait(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await run(lambda: await_(asyncio.Event().wait()))

    async def test_closing_the_coroutine_unwinds_without_waiting(self) -> None:
        seen: list[str] = []

        def sync() -> None:
            try:
                await_(asyncio.sleep(0))
            finally:
                try:
                    await_(asyncio.sleep(0))
                except BridgeError as error:
                    seen.append(str(error))

        coroutine = run(sync)
        coroutine.send(None)
        coroutine.close()
        assert len(seen) == 1
        assert "was closed before its end" in seen[0]

    async def test_a_function_that_catches_it_ends_too(self) -> None:
        def sync() -> str:
            try:
                await_(asyncio.sleep(0))
            except GeneratorExit:
                return "caught"
            return "nothing caught"

        coroutine = run(sync)
        coroutine.send(None)
        with pytest.raises(GeneratorExit):
            coroutine.throw(GeneratorExit)


class TestMisuse:
    def test_await_outside_the_bridge_is_refused_and_closes_the_coroutine(self) -> None:
        coroutine = double(1)
        with pytest.raises(BridgeError, match=r"'double' outside the bridge"):
            await_(coroutine)
        with pytest.raises(RuntimeError, match="cannot reuse"):
            coroutine.send(None)

    def test_other_awaitables_are_named_by_their_repr(self) -> None:
        with pytest.raises(BridgeError, match=r"Done object at .* outside the bridge"):
            await_(Done())

    async def test_await_on_the_loop_outside_the_bridge_is_refused(self) -> None:
        with pytest.raises(BridgeError, match=r"vinyl\.orm\.run"):
            await_(double(1))

    async def test_somebody_elses_greenlet_is_not_the_bridge(self) -> None:
        def foreign() -> None:
            assert not in_bridge()
            with pytest.raises(BridgeError):
                await_(double(1))

        greenlet.greenlet(foreign).switch()


async def test_leaves_nothing_behind() -> None:
    class Marker:
        pass

    marker = Marker()
    gone = weakref.ref(marker)

    def sync(thing: Marker) -> None:
        await_(double(1))

    await run(sync, marker)
    del marker
    gc.collect()
    assert gone() is None
