"""Special methods that objects have in async mode only."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping, Sized
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol, runtime_checkable

import pytest
from django.db import transaction
from django.test import override_settings

from tests.records.models import Album
from vinyl.bridge.async_methods import AsyncMethod
from vinyl.orm import await_, run

pytestmark = pytest.mark.anyio


class Thing:
    """An object that can be awaited in async mode."""

    def __await__(self) -> Generator[Any, Any, str]:
        yield from asyncio.sleep(0).__await__()
        return "awaited"

    __await__ = AsyncMethod(__await__)  # type: ignore[assignment]


@runtime_checkable
class HasName(Protocol):
    """Python allows `issubclass()` with it only to its own module "abc"."""

    name: str


class Named:
    name = "named"


class Always:
    """An object that can always be awaited."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield


AWAITABLES: dict[str, Callable[[], Any]] = {
    "own": Thing,
    "queryset": Album.objects.all,
    "raw": lambda: Album.objects.raw("SELECT * FROM records_album"),
}


def ways_to_ask(value: Any) -> set[bool]:
    return {
        hasattr(value, "__await__"),
        inspect.isawaitable(value),
        isinstance(value, Awaitable),
    }


@pytest.mark.parametrize("make", AWAITABLES.values(), ids=AWAITABLES)
class TestAwaitable:
    async def test_on_an_event_loop(self, make: Callable[[], Any]) -> None:
        assert ways_to_ask(make()) == {True}

    def test_not_without_one(self, make: Callable[[], Any]) -> None:
        assert ways_to_ask(make()) == {False}

    async def test_not_in_the_bridge(self, make: Callable[[], Any]) -> None:
        assert await run(ways_to_ask, make()) == {False}

    async def test_not_in_a_thread_beside_the_loop(
        self, make: Callable[[], Any]
    ) -> None:
        assert await asyncio.to_thread(ways_to_ask, make()) == {False}

    async def test_by_the_forced_mode(self, make: Callable[[], Any]) -> None:
        with override_settings(VINYL={"IS_ASYNC": False}):
            assert ways_to_ask(make()) == {False}

    async def test_where_sync_code_waits_for_it(self, make: Callable[[], Any]) -> None:
        async def ask() -> set[bool]:
            return ways_to_ask(make())

        assert await run(lambda: await_(ask())) == {True}


class TestAsyncMethod:
    async def test_is_called_by_await(self) -> None:
        assert await Thing() == "awaited"
        assert [*await asyncio.gather(Thing(), Thing())] == ["awaited"] * 2
        assert await run(lambda: await_(Thing())) == "awaited"

    def test_is_missing_in_sync_mode_as_any_attribute_is(self) -> None:
        message = "'Thing' object has no attribute '__await__' in sync mode"
        with pytest.raises(AttributeError, match=message):
            Thing().__await__()
        assert getattr(Thing(), "__await__", None) is None

    async def test_is_a_function_of_the_class(self) -> None:
        assert inspect.isfunction(Thing.__await__)
        assert issubclass(Thing, Awaitable)

    def test_of_other_classes_stay(self) -> None:
        assert ways_to_ask(Always()) == {True}
        assert ways_to_ask(3) == {False}
        assert isinstance({}, Mapping)
        assert isinstance(Album.objects.all(), Sized)

    def test_protocols_with_attributes_can_be_asked(self) -> None:
        assert isinstance(Named(), HasName)
        assert not isinstance(3, HasName)


class TestAtomic:
    def test_is_no_async_context_manager_in_sync_mode(self) -> None:
        block = transaction.atomic()
        assert not hasattr(block, "__aenter__")
        assert not hasattr(block, "__aexit__")
        assert not isinstance(block, AbstractAsyncContextManager)

    async def test_is_one_on_an_event_loop(self, db: str) -> None:
        block = transaction.atomic()
        assert hasattr(block, "__aenter__")
        assert isinstance(block, AbstractAsyncContextManager)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(block)
            assert await run(Album.objects.count) == 0
