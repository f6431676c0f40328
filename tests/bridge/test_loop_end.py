"""What is called when an event loop ends, and when it is not."""

from __future__ import annotations

import asyncio
import gc
import weakref

from vinyl.bridge.loop_end import at_loop_end, forget_loop, inherit_loops


def test_functions_are_called_once_and_the_loop_is_garbage_then() -> None:
    ended: list[str] = []

    async def awaited() -> None:
        await asyncio.sleep(0)
        ended.append("async")

    async def work() -> weakref.ref[asyncio.AbstractEventLoop]:
        loop = asyncio.get_running_loop()
        at_loop_end(loop, lambda: ended.append("plain"))
        at_loop_end(loop, awaited)
        assert ended == []
        return weakref.ref(loop)

    loop = asyncio.run(work())
    assert sorted(ended) == ["async", "plain"]
    gc.collect()
    assert loop() is None


def test_a_forked_process_calls_nothing_for_the_loops_of_its_parent() -> None:
    ended: list[str] = []

    async def work() -> None:
        at_loop_end(asyncio.get_running_loop(), lambda: ended.append("called"))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(work())
    # As after a fork, where the loop is never continued.
    inherit_loops()
    forget_loop(loop)
    gc.collect()
    assert ended == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
