"""A dual-mode call is a coroutine, and nothing else can be done with it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, comparison-overlap, func-returns-value, misc"

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import linecache
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from django.utils.functional import cached_property

from tests.records.models import Album, Artist
from vinyl.bridge.calls import Call
from vinyl.bridge.mode import dual
from vinyl.exceptions import AlreadyAwaitedError, NotAwaitedError

pytestmark = pytest.mark.anyio


async def work() -> int:
    await asyncio.sleep(0)
    return 7


def make_call() -> Call:
    return Call(work(), "Album.work")


@dual
def total() -> int:
    return 7


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
    "pickle": pickle.dumps,
    "copy": copy.copy,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_using_it_as_a_value_raises(use: Callable[[Any], Any]) -> None:
    call = make_call()
    with pytest.raises(NotAwaitedError, match=r"'Album\.work' .* Write `await`"):
        use(call)


async def test_has_a_repr() -> None:
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
        call = make()
        del call
        gc.collect()
    messages = [str(warning.message).splitlines()[0] for warning in caught]
    assert messages == [f"coroutine '{name}' was never awaited"]


async def test_in_debug_mode_the_warning_names_the_line_that_made_it() -> None:
    assert asyncio.get_running_loop().get_debug()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call = Artist().save()  # the line to be named
        del call
        gc.collect()
    assert "Artist().save()  # the line to be named" in str(caught[0].message)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Album(title="x").save(), "Album.save"),
        (lambda: Artist.objects.count(), "QuerySet.count"),
        (lambda: Album.objects.filter(year=1965).exists(), "AlbumQuerySet.exists"),
        (lambda: Artist(pk=1).albums.create(title="x"), "RelatedManager.create"),
    ],
    ids=["save", "manager", "queryset", "related manager"],
)
async def test_one_that_is_dropped_at_once_is_refused(
    make: Callable[[], Any], name: str
) -> None:
    with pytest.raises(NotAwaitedError, match=rf"'{name}' .* dropped.*`await`"):
        make()


class TestAwaitedTwice:
    MESSAGE = r"'Album\.work' was awaited a second time.*keep the result.*create_task"

    async def test_says_what_to_do(self) -> None:
        call = make_call()
        assert await call == 7
        with pytest.raises(AlreadyAwaitedError, match=self.MESSAGE):
            await call

    async def test_its_use_as_a_value_is_told_apart(self) -> None:
        call = make_call()
        assert await call == 7
        message = r"'Album\.work' .* has been awaited, .* not its result, so .* text"
        with pytest.raises(AlreadyAwaitedError, match=message):
            str(call)

    async def test_of_a_cached_property(self) -> None:
        class Shop:
            @cached_property
            def total(self) -> Any:
                return make_call()

            @functools.cached_property
            def count(self) -> Any:
                return make_call()

        shop = Shop()
        for _ in range(2):
            assert await Shop().total == 7
        assert (await shop.total, await shop.count) == (7, 7)
        with pytest.raises(RuntimeError, match=self.MESSAGE):
            await shop.total
        with pytest.raises(RuntimeError, match=self.MESSAGE):
            await shop.count

    async def test_of_other_caches_names_the_line_that_made_it(self) -> None:
        kept: dict[str, Any] = {}

        def of_a_dict() -> Any:
            if "total" not in kept:
                kept["total"] = total()  # line of the dict
            return kept["total"]

        @functools.lru_cache
        def of_a_closure() -> Any:
            return total()  # line of the closure

        for function in (of_a_dict, of_a_closure):
            name = function.__name__
            assert await function() == 7
            with pytest.raises(AlreadyAwaitedError) as caught:
                await function()
            found = re.search(r"made by (\w+)\(\) at (.+?):(\d+)\. ", str(caught.value))
            assert found is not None, caught.value
            assert found.groups()[:2] == (name, __file__)
            line = linecache.getline(__file__, int(found[3]))
            assert line.endswith(f"# line of the {name.removeprefix('of_a_')}\n")
            assert "`await vinyl.orm.run(function, ...)`" in str(caught.value)

    async def test_without_debug_mode_says_how_to_find_the_line(self) -> None:
        depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(0)
        try:
            call = make_call()
        finally:
            sys.set_coroutine_origin_tracking_depth(depth)
        assert await call == 7
        for again in (call.__await__, lambda: str(call)):
            with pytest.raises(AlreadyAwaitedError, match="PYTHONASYNCIODEBUG=1 lets"):
                again()

    async def test_by_two_tasks(self) -> None:
        """The second one does not disturb the first in the middle of its wait."""
        started, go_on = asyncio.Event(), asyncio.Event()

        async def wait() -> int:
            started.set()
            await go_on.wait()
            return 7

        call = Call(wait(), "Album.work")
        first = asyncio.create_task(call)
        await started.wait()
        for second in (asyncio.create_task(call), asyncio.ensure_future(call)):
            with pytest.raises(AlreadyAwaitedError, match=self.MESSAGE):
                await second
        with pytest.raises(AlreadyAwaitedError, match=self.MESSAGE):
            await call
        cancelled = asyncio.create_task(call)
        cancelled.cancel()
        with pytest.raises(AlreadyAwaitedError, match=self.MESSAGE):
            await cancelled
        go_on.set()
        assert await first == 7
        with pytest.raises(AlreadyAwaitedError, match=self.MESSAGE):
            await asyncio.create_task(call)

    async def test_by_a_task_while_it_is_awaited(self) -> None:
        go_on = asyncio.Event()

        async def wait() -> int:
            await go_on.wait()
            return 7

        call = Call(wait(), "Album.work")

        async def waiting() -> int:
            return await call

        first = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        with pytest.raises(AlreadyAwaitedError, match=self.MESSAGE):
            await asyncio.create_task(call)
        go_on.set()
        assert await first == 7

    async def test_by_one_gather_is_one(self) -> None:
        call = make_call()
        assert await asyncio.gather(call, call) == [7, 7]

    async def test_a_task_of_it_can_be_awaited_again(self) -> None:
        task = asyncio.create_task(make_call())
        assert (await task, await task) == (7, 7)

    async def test_after_it_was_used_as_a_value(self) -> None:
        call = make_call()
        with pytest.raises(NotAwaitedError):
            bool(call)
        with pytest.raises(AlreadyAwaitedError, match=r"closed.*Call it again"):
            await call

    async def test_of_the_orm(self, db: str) -> None:
        call = Artist.objects.count()
        assert await call == 0
        with pytest.raises(AlreadyAwaitedError, match=r"'QuerySet\.count' was"):
            await call


async def test_it_does_nothing_until_awaited() -> None:
    done: list[int] = []

    async def note() -> None:
        done.append(1)

    call = Call(note(), "note")
    await asyncio.sleep(0)
    assert done == []
    await call
    assert done == [1]


class TestWithoutATask:
    """As a loop or a scheduler of somebody else runs it, step by step."""

    def test_it_is_run_by_send(self) -> None:
        call = Call(asyncio.sleep(0, "slept"), "Album.work")
        assert call.send(None) is None
        with pytest.raises(StopIteration, match="slept"):
            call.send(None)

    def test_an_error_may_be_thrown_before_it_begins(self) -> None:
        call = make_call()
        with pytest.raises(LookupError):
            call.throw(LookupError)
        with pytest.raises(AlreadyAwaitedError):
            call.__await__()

    @pytest.mark.filterwarnings("ignore:the .*signature:DeprecationWarning")
    def test_an_error_may_be_thrown_with_its_value(self) -> None:
        with pytest.raises(LookupError, match="gone"):
            make_call().throw(LookupError, LookupError("gone"))

    def test_closing_it_runs_nothing(self) -> None:
        call = make_call()
        call.close()
        with pytest.raises(AlreadyAwaitedError, match="had been closed"):
            call.__await__()
