"""A cache would keep a call for everyone, and it can be awaited once."""

from __future__ import annotations

import asyncio

import pytest

from tests.bridge.test_dropped import OURS, PACKAGES, Thing, compiled
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run

pytestmark = pytest.mark.anyio

MODULE = """
    from functools import cache, lru_cache, wraps

    def logged(fn):
        @wraps(fn)
        def call(*args):
            return fn(*args)
        return call

    @lru_cache(maxsize=None)
    def function():
        return thing.save()

    @logged
    @cache
    def decorated():
        found = thing.save()
        return found

    def entry():
        return function() + 1

    class Shop:
        @cache
        def method(self):
            return thing.save()

        @staticmethod
        @cache
        def of_no_object():
            return thing.save()

        @classmethod
        @cache
        def of_the_class(cls):
            return thing.save()

    def work(expression):
        return eval(expression)
"""
ALL = [
    "function()", "decorated()", "Shop().method()", "Shop.of_no_object()",
    "Shop.of_the_class()",
]  # fmt: skip


@pytest.mark.parametrize("filename", [OURS, PACKAGES])
@pytest.mark.parametrize("expression", ALL)
async def test_is_refused_on_the_loop(expression: str, filename: str) -> None:
    thing = Thing()
    work = compiled(MODULE, filename, {"thing": thing})
    name = expression.removesuffix("()").replace("()", "")
    message = rf"'Thing\.save' .*by {name}\(\) of made_up.*, whose results are cached"
    for _ in range(2):
        with pytest.raises(NotAwaitedError, match=message):
            await work(expression)
    # Nothing is left in the cache: the bridge and plain code fill it.
    assert await run(work, expression) == 1
    assert await asyncio.to_thread(work, expression) == 1 + ("Shop()" in expression)


async def test_names_what_was_called_of_a_package() -> None:
    work = compiled(MODULE, PACKAGES, {"thing": Thing()})
    entry = work.__globals__["entry"]
    with pytest.raises(NotAwaitedError, match=r"`await vinyl\.orm\.run\(entry, "):
        entry()
    assert await run(entry) == 2


async def test_a_function_without_one_returns_the_call() -> None:
    text = """
        import functools

        @functools.cache
        def other():
            return 1

        def work():
            return thing.save()
    """
    work = compiled(text, OURS, {"thing": Thing()})
    assert [await work(), await work()] == [1, 2]
