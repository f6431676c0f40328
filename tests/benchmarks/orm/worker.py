"""
What runs in a contestant's process: python -m tests.benchmarks.orm.worker MODULE LOOP

Reads commands from its input, one JSON object in each line, and writes an answer to
each. It closes the contestant at the end of its input.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import inspect
import itertools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import Any, cast

from tests.benchmarks.orm.contestants import Contestant
from tests.benchmarks.orm.workloads import WORKLOADS, Workload

Answer = dict[str, Any]


class Clock:
    """The time and the processor's time since it was made, in seconds."""

    def __init__(self) -> None:
        self.wall = time.perf_counter()
        self.cpu = time.process_time()

    def answer(self, operations: int) -> Answer:
        cpu = time.process_time() - self.cpu
        wall = time.perf_counter() - self.wall
        return {"operations": operations, "seconds": wall, "cpu": cpu}


def check(contestant: Contestant, workload: Workload, found: list[Any]) -> Answer:
    """The digest of what operations returned, and the beginning of its text."""
    convert = workload.plain
    text = repr([convert(contestant, one) for one in found] if convert else None)
    return {"digest": hashlib.sha256(text.encode()).hexdigest(), "text": text[:500]}


def calls(contestant: Contestant, workload: Workload) -> Iterator[Any]:
    """What the function of *workload* returns for one number after the other."""
    function = getattr(contestant, workload.function)
    return (function(*workload.arguments(number)) for number in itertools.count())


class AsyncWorker:
    """Runs coroutine functions in tasks."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.task_context = getattr(contestant, "task_context", nullcontext)

    async def open(self) -> None:
        await self.contestant.open()

    async def close(self) -> None:
        await self.contestant.close()

    def operation(self, workload: Workload) -> Callable[[], Awaitable[list[Any]]]:
        coroutines = calls(self.contestant, workload)
        use = workload.use

        async def one() -> list[Any]:
            return [await next(coroutines)]

        async def one_to_use() -> list[Any]:
            assert use is not None
            found = await next(coroutines)
            use(self.contestant, found)
            return [found]

        async def several() -> list[Any]:
            return await asyncio.gather(*itertools.islice(coroutines, workload.at_once))

        if use is not None:
            return one_to_use
        return one if workload.at_once == 1 else several

    async def check(self, workload: Workload, operations: int) -> Answer:
        operate = self.operation(workload)
        found: list[Any] = []
        async with self.task_context():
            for _ in range(operations):
                found += await operate()
        return check(self.contestant, workload, found)

    async def load(self, workload: Workload, tasks: int, seconds: float) -> Answer:
        operate = self.operation(workload)
        ready = asyncio.Barrier(tasks + 1)

        async def repeat() -> int:
            done = 0
            async with self.task_context():
                # Connections and caches are those of a task that has been at work.
                await operate()
                await ready.wait()
                until = time.perf_counter() + seconds
                while time.perf_counter() < until:
                    await operate()
                    done += 1
            return done

        async with asyncio.TaskGroup() as group:
            running = [group.create_task(repeat()) for _ in range(tasks)]
            await ready.wait()
            clock = Clock()
        return clock.answer(sum(task.result() for task in running))


class SyncWorker:
    """Runs plain functions, in threads that it keeps."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.threads = ThreadPoolExecutor(max_workers=1000)

    async def open(self) -> None:
        self.contestant.open()

    async def close(self) -> None:
        self.threads.shutdown()
        self.contestant.close()

    def operation(self, workload: Workload) -> Callable[[], list[Any]]:
        function = getattr(self.contestant, workload.function)
        # Unlike a generator, threads may share it.
        arguments = map(workload.arguments, itertools.count())
        use = workload.use

        def operate() -> list[Any]:
            found = [function(*next(arguments)) for _ in range(workload.at_once)]
            if use is not None:
                for one in found:
                    use(self.contestant, one)
            return found

        return operate

    async def check(self, workload: Workload, operations: int) -> Answer:
        operate = self.operation(workload)

        def run() -> list[Any]:
            return [one for _ in range(operations) for one in operate()]

        found = self.threads.submit(run).result()
        return check(self.contestant, workload, found)

    async def load(self, workload: Workload, tasks: int, seconds: float) -> Answer:
        operate = self.operation(workload)
        ready = threading.Barrier(tasks + 1)

        def repeat() -> int:
            done = 0
            try:
                operate()
            except BaseException:
                ready.abort()
                raise
            ready.wait()
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                operate()
                done += 1
            return done

        running = [self.threads.submit(repeat) for _ in range(tasks)]
        with suppress(threading.BrokenBarrierError):
            ready.wait()
        clock = Clock()
        errors = [future.exception() for future in running]
        for error in errors:
            # Those that waited for the one that failed have nothing to say.
            if error and not isinstance(error, threading.BrokenBarrierError):
                raise error
        return clock.answer(sum(future.result() for future in running))


def describe(error: BaseException) -> str:
    """The cause of *error* that is not about the others of its group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def serve(module: str) -> None:
    # What the contestant prints must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
    contestant = cast(Contestant, importlib.import_module(module))
    kind = AsyncWorker if inspect.iscoroutinefunction(contestant.get) else SyncWorker
    worker = kind(contestant)
    await worker.open()

    def tell(answer: Answer) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    tell({})
    for line in sys.stdin:
        command = json.loads(line)
        workload = WORKLOADS[command["workload"]]
        try:
            if "operations" in command:
                answer = await worker.check(workload, command["operations"])
            else:
                tasks, seconds = command["tasks"], command["seconds"]
                answer = await worker.load(workload, tasks, seconds)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": describe(error)}
        tell(answer)
    await worker.close()


def main(module: str, loop: str) -> None:
    if loop == "uvloop":
        import uvloop

        uvloop.run(serve(module))
    else:
        asyncio.run(serve(module))


if __name__ == "__main__":
    main(*sys.argv[1:])
