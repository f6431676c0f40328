"""A dual-mode call is a coroutine, and nothing else can be done with it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.records.models import Album, Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.calls import Call

pytestmark = pytest.mark.anyio


async def work() -> int:
    await asyncio.sleep(0)
    return 7


def make_call() -> Call:
    return Call(work(), "Album.work")


class TestIsACoroutine:
    async def test_for_await(self) -> None:
        assert await make_call() == 7

    async def test_for_create_task(self) -> None:
        assert await asyncio.create_task(make_call()) == 7

    async def test_for_showing_its_task(self) -> None:
        """As asyncio does in debug mode, of a task that took long."""
        task = asyncio.create_task(make_call())
        await asyncio.sleep(0)
        assert "Album.work() running at" in repr(task)
        assert await task == 7

    async def test_for_gather(self) -> None:
        assert await asyncio.gather(make_call(), make_call()) == [7, 7]

    async def test_for_wait_for(self) -> None:
        assert await asyncio.wait_for(make_call(), 5) == 7

    async def test_for_a_task_group(self) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(make_call())
        assert task.result() == 7

    async def test_for_isinstance(self) -> None:
        call = make_call()
        assert isinstance(call, Coroutine)
        assert inspect.isawaitable(call)
        assert asyncio.iscoroutine(call)
        await call


USES: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "not": lambda call: not call,
    "str": str,
    "format": lambda call: f"{call}",
    "equals": lambda call: call == 7,
    "differs": lambda call: call != 7,
    "less": lambda call: call < 7,
    "greater": lambda call: call > 7,
    "iterates": list,
    "len": len,
    "contains": lambda call: 7 in call,
    "index": lambda call: call[0],
    "attribute": lambda call: call.title,
    "int": int,
    "add": lambda call: call + 1,
    "radd": lambda call: 1 + call,
    "call": lambda call: call(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_using_it_as_a_value_raises(use: Callable[[Any], Any]) -> None:
    call = make_call()
    with pytest.raises(NotAwaitedError, match=r"'Album\.work' .* Write `await`"):
        use(call)


async def test_its_repr_tells_what_it_is() -> None:
    call = make_call()
    assert repr(call) == "<Call Album.work, to be awaited>"
    await call


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Album(title="x").save(), "Album.save"),
        (lambda: Artist().delete(), "Artist.delete"),
        (lambda: Artist.objects.count(), "QuerySet.count"),
        (lambda: Album.objects.filter(year=1965).exists(), "AlbumQuerySet.exists"),
        (lambda: Artist(pk=1).albums.create(title="x"), "RelatedManager.create"),
    ],
    ids=["save", "delete", "manager", "queryset", "related manager"],
)
async def test_one_that_is_never_awaited_warns_under_its_name(
    make: Callable[[], Any], name: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
        gc.collect()
    messages = [str(warning.message).splitlines()[0] for warning in caught]
    assert messages == [f"coroutine '{name}' was never awaited"]


async def test_in_debug_mode_the_warning_names_the_line_that_made_it() -> None:
    assert asyncio.get_running_loop().get_debug()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Artist().save()  # the line to be named
        gc.collect()
    assert "Artist().save()  # the line to be named" in str(caught[0].message)


async def test_it_does_nothing_until_awaited() -> None:
    done: list[int] = []

    async def note() -> None:
        done.append(1)

    call = Call(note(), "note")
    await asyncio.sleep(0)
    assert done == []
    await call
    assert done == [1]
