"""A loop makes the calls of threads, on each system and once it waits."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from vinyl.orm.backends import notifier as notifiers
from vinyl.orm.backends.notifier import notifier_for

pytestmark = pytest.mark.usefixtures("has_eventfd")


@pytest.fixture(
    params=[
        pytest.param(
            True,
            marks=pytest.mark.skipif(not notifiers.HAS_EVENTFD, reason="only on Linux"),
        ),
        False,
    ],
    ids=["eventfd", "portable"],
)
def has_eventfd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(notifiers, "HAS_EVENTFD", request.param)
    return request.param


def test_the_loop_makes_all_calls() -> None:
    found: list[tuple[int, int]] = []
    idents: set[int] = set()

    def note(thread: int, number: int) -> None:
        idents.add(threading.get_ident())
        found.append((thread, number))

    async def main() -> None:
        notifier = notifier_for(asyncio.get_running_loop())
        assert notifier_for(asyncio.get_running_loop()) is notifier

        def call(thread: int) -> None:
            for number in range(500):
                notifier.call_soon(partial(note, thread, number))

        threads = [threading.Thread(target=call, args=[n]) for n in range(4)]
        for thread in threads:
            thread.start()
        while len(found) < 2_000:
            await asyncio.sleep(0)

    run(main)
    assert idents == {threading.get_ident()}
    for thread in range(4):
        numbers = [number for of, number in found if of == thread]
        assert numbers == list(range(500))


def test_a_waiting_loop_is_woken() -> None:
    async def main() -> None:
        notifier = notifier_for(asyncio.get_running_loop())
        for _ in range(50):
            called = asyncio.Event()
            threading.Timer(0.001, notifier.call_soon, [called.set]).start()
            # Nothing else ends its wait.
            async with asyncio.timeout(10):
                await called.wait()

    run(main)


def test_nothing_happens_on_a_closed_loop() -> None:
    async def main() -> Any:
        return notifier_for(asyncio.get_running_loop())

    notifier = run(main)
    called: list[bool] = []
    notifier.call_soon(lambda: called.append(True))
    notifier.call_soon(lambda: called.append(True))
    assert called == []


def test_no_file_is_left_open() -> None:
    def use() -> None:
        async def main() -> None:
            done = asyncio.Event()
            notifier_for(asyncio.get_running_loop()).call_soon(done.set)
            await done.wait()

        run(main)
        gc.collect()

    use()
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        use()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_the_context_of_the_first_task_is_not_kept() -> None:
    class Value:
        pass

    async def first() -> weakref.ref[Value]:
        value = Value()
        variable.set(value)
        notifier_for(asyncio.get_running_loop())
        return weakref.ref(value)

    async def main() -> None:
        kept = await asyncio.create_task(first())
        # The loop has the task until this one waits again.
        await asyncio.sleep(0)
        gc.collect()
        assert kept() is None

    variable: ContextVar[Value] = ContextVar("variable")
    run(main)


def test_a_loop_without_readers() -> None:
    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, *args: Any) -> None:  # type: ignore[override]
            raise NotImplementedError

    async def main() -> None:
        called = asyncio.Event()
        notifier = notifier_for(asyncio.get_running_loop())
        await asyncio.to_thread(notifier.call_soon, called.set)
        async with asyncio.timeout(10):
            await called.wait()

    run(main, Loop)


def run(
    main: Callable[[], Coroutine[Any, Any, Any]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Any:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main())
