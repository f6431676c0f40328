"""With `asyncio.eager_task_factory`: a task starts inside the code that makes it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.db.models.signals import post_save

from tests.records.models import Album, Artist
from vinyl.exceptions import BridgeError
from vinyl.orm import await_, in_bridge, run, transaction

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db"),
    pytest.mark.skipif(
        sys.version_info < (3, 12), reason="Python 3.11 has no eager tasks"
    ),
]


@pytest.fixture(autouse=True)
async def eager() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(asyncio.eager_task_factory)
    yield
    loop.set_task_factory(before)


async def create(name: str) -> Artist:
    return await Artist.objects.create(name=name)


async def names() -> list[str]:
    return list(await Artist.objects.values_list("name", flat=True))


async def test_a_task_made_in_a_run_uses_the_database_while_the_run_goes_on() -> None:
    def work() -> asyncio.Task[Artist]:
        task = asyncio.get_running_loop().create_task(create("of the task"))
        Artist.objects.create(name="of the run")
        return task

    await (await run(work))
    assert await names() == ["of the run", "of the task"]


async def test_a_run_may_await_the_task_that_it_has_made() -> None:
    def work() -> str:
        Artist.objects.create(name="of the run")
        return await_(asyncio.get_running_loop().create_task(create("child"))).name

    assert await run(work) == "child"


async def test_a_task_made_by_a_hook_of_on_commit() -> None:
    tasks: list[asyncio.Task[Artist]] = []

    def hook() -> None:
        tasks.append(asyncio.get_running_loop().create_task(create("hook")))

    async with transaction.atomic():
        await create("block")
        await transaction.on_commit(hook)
    await asyncio.gather(*tasks)
    assert await names() == ["block", "hook"]


async def test_a_task_made_by_a_receiver_of_a_signal() -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def rename(pk: int) -> None:
        await Artist.objects.filter(pk=pk).update(name="renamed")

    def tasked(instance: Artist, **kwargs: Any) -> None:
        tasks.append(asyncio.get_running_loop().create_task(rename(instance.pk)))

    post_save.connect(tasked, sender=Artist)
    try:
        async with transaction.atomic():
            await create("named")
            await asyncio.gather(*tasks)
    finally:
        post_save.disconnect(tasked, sender=Artist)
    assert await names() == ["renamed"]


async def test_its_first_step_is_not_in_the_bridge() -> None:
    places: list[bool] = []

    async def look() -> None:
        places.append(in_bridge())
        with pytest.raises(BridgeError):
            await_(asyncio.sleep(0))
        await asyncio.sleep(0)
        places.append(in_bridge())

    def work() -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(look())
        places.append(in_bridge())
        return task

    await (await run(work))
    assert places == [False, True, False]


async def test_lazy_relations_and_transactions_in_a_task_made_in_a_run() -> None:
    artist = await create("Nina Simone")
    await Album.objects.create(title="Pastel Blues", artist=artist)

    async def child() -> str:
        async with transaction.atomic():
            album = await Album.objects.get()
            return (await album.artist).name

    def work() -> str:
        with transaction.atomic():
            task = asyncio.get_running_loop().create_task(child())
            Artist.objects.count()
            return await_(task)

    assert await run(work) == "Nina Simone"


async def test_tasks_made_in_tasks_made_in_a_run() -> None:
    async def nested(depth: int) -> int:
        if depth == 0:
            return await Artist.objects.count()
        return await run(lambda: await_(asyncio.create_task(nested(depth - 1))))

    await create("one")
    assert await nested(4) == 1


async def test_a_task_that_is_cancelled_leaves_the_run_alone() -> None:
    started: list[asyncio.Task[None]] = []

    async def wait_for_ever() -> None:
        await run(lambda: await_(asyncio.sleep(3600)))

    def work() -> int:
        started.append(asyncio.get_running_loop().create_task(wait_for_ever()))
        started[0].cancel()
        return Artist.objects.count()

    assert await run(work) == 0
    with pytest.raises(asyncio.CancelledError):
        await started[0]


async def test_time_limits_hold() -> None:
    async def endless() -> None:
        await asyncio.sleep(3600)

    def work() -> None:
        await_(asyncio.get_running_loop().create_task(endless()))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(work), 0.01)


async def test_gathered_queries_and_task_groups() -> None:
    await asyncio.gather(*(create(f"Artist {n}") for n in range(20)))
    async with asyncio.TaskGroup() as group:
        for n in range(20, 40):
            group.create_task(create(f"Artist {n}"))
    assert len(await names()) == 40
