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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import Any

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


def check(contestant: Any, workload: Workload, found: list[Any]) -> Answer:
    """The digest of what operations returned, and the beginning of its text."""
    convert = workload.plain
    text = repr([convert(contestant, one) for one in found] if convert else None)
    return {"digest": hashlib.sha256(text.encode()).hexdigest(), "text": text[:500]}


def batches(workload: Workload) -> Iterator[list[tuple[Any, ...]]]:
    """The arguments of the calls of each operation."""
    numbers = map(workload.arguments, itertools.count())
    while True:
        yield list(itertools.islice(numbers, workload.at_once))


class AsyncWorker:
    """Runs coroutine functions in tasks."""

    def __init__(self, contestant: Any) -> None:
        self.contestant = contestant

    async def open(self) -> None:
        await self.contestant.open()

    async def close(self) -> None:
        await self.contestant.close()

    async def operate(self, workload: Workload, batch: list[tuple[Any, ...]]) -> Any:
        function = getattr(self.contestant, workload.function)
        if len(batch) == 1:
            return [await function(*batch[0])]
        return await asyncio.gather(*[function(*arguments) for arguments in batch])

    async def check(self, workload: Workload, operations: int) -> Answer:
        # The threads that a context had would be gone with their connections.
        context = getattr(self.contestant, "task_context", nullcontext)
        found: list[Any] = []
        async with context():
            for batch in itertools.islice(batches(workload), operations):
                found += await self.operate(workload, batch)
        return check(self.contestant, workload, found)

    async def load(self, workload: Workload, tasks: int, seconds: float) -> Answer:
        function = getattr(self.contestant, workload.function)
        context = getattr(self.contestant, "task_context", nullcontext)
        single = map(workload.arguments, itertools.count())
        several = batches(workload)
        ready = asyncio.Barrier(tasks + 1)

        async def repeat() -> int:
            done = 0
            async with context():
                # Connections and caches are those of a task that has been at work.
                await self.operate(workload, next(several))
                await ready.wait()
                until = time.perf_counter() + seconds
                if workload.at_once == 1:
                    while time.perf_counter() < until:
                        await function(*next(single))
                        done += 1
                else:
                    while time.perf_counter() < until:
                        await self.operate(workload, next(several))
                        done += 1
            return done

        async with asyncio.TaskGroup() as group:
            running = [group.create_task(repeat()) for _ in range(tasks)]
            await ready.wait()
            clock = Clock()
        return clock.answer(sum(task.result() for task in running))


class SyncWorker:
    """Runs plain functions, in threads that it keeps."""

    def __init__(self, contestant: Any) -> None:
        self.contestant = contestant
        self.threads = ThreadPoolExecutor(max_workers=1000)

    async def open(self) -> None:
        self.contestant.open()

    async def close(self) -> None:
        self.threads.shutdown()
        self.contestant.close()

    async def check(self, workload: Workload, operations: int) -> Answer:
        function = getattr(self.contestant, workload.function)
        count = operations * workload.at_once

        def run() -> list[Any]:
            return [function(*workload.arguments(number)) for number in range(count)]

        found = self.threads.submit(run).result()
        return check(self.contestant, workload, found)

    async def load(self, workload: Workload, tasks: int, seconds: float) -> Answer:
        function = getattr(self.contestant, workload.function)
        arguments = map(workload.arguments, itertools.count())
        ready = threading.Barrier(tasks + 1)

        def operate() -> None:
            for _ in range(workload.at_once):
                function(*next(arguments))

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
    contestant: Any = importlib.import_module(module)
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
