"""
Tests and fixtures take part in the transactions that the thread has open: those of
`db`, or of pytest-django. Plain ones do so when they run an event loop.

A test and its fixtures are steps, which may run in tasks and contexts of their own.
Each of them enters the scope of the test, from which child tasks and requests inherit.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any

import pytest
from _pytest.unittest import TestCaseFunction
from django.db import connections

from vinyl.bridge.mode import runs_sync
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.pools.registry import close_pools
from vinyl.orm.scopes.scope import ConnectionScope, current_scope
from vinyl.orm.scopes.storage import connection_of_thread, has_transaction

__all__ = ["patched_fixture", "patched_test", "steps_of_test"]


class _Test:
    # The scope of the running test.
    scope: ConnectionScope | None = None


@contextmanager
def steps_of_test() -> Iterator[None]:
    """
    Make a scope for the steps of a test. After the block, tasks that are left cannot
    use its transactions. Never switches.
    """
    before = _Test.scope
    _Test.scope = scope = ConnectionScope(None, block="the transaction of a test")
    try:
        yield
    finally:
        scope.close()
        _Test.scope = before


def _hold_transactions() -> None:
    """
    Let the test's scope hold the connections of this thread that have a transaction.
    Never switches.
    """
    scope = _Test.scope
    # An async test that requests a fixture by name has them already, and those of the
    # thread cannot be looked up there.
    if scope is None or not runs_sync():
        return
    for alias in connections:
        wrapper = connection_of_thread(alias)
        held = scope.leases.get(alias)
        if held is not None and (
            held.wrapper is not wrapper or not has_transaction(held.wrapper)
        ):
            # The fixture with the transaction has ended.
            scope.leases.pop(alias).release()
            held = None
        if held is None and isinstance(wrapper, BridgeMixin):
            if has_transaction(wrapper):
                scope.hold(alias, wrapper, None)


@contextmanager
def _step() -> Iterator[bool]:
    """
    Have the running context in the test's scope; give whether that has transactions.
    Never switches.
    """
    scope = _Test.scope
    if scope is None or not scope.leases:
        yield False
        return
    before = current_scope.get()
    current_scope.set(scope)
    try:
        yield True
    finally:
        if current_scope.get() is scope:
            current_scope.set(before)


@contextmanager
def patched_test(item: pytest.Item) -> Iterator[None]:
    """Make a test function a step of the running test, in the block. Never switches."""
    # Django's TestCases use async_to_sync(), which lends the transaction.
    if not isinstance(item, pytest.Function) or isinstance(item, TestCaseFunction):
        yield
        return
    _hold_transactions()
    test: Any = item.obj
    if (hypothesis := getattr(test, "hypothesis", None)) is not None:
        inner = hypothesis.inner_test
        hypothesis.inner_test = _as_step(inner)
        try:
            yield
        finally:
            hypothesis.inner_test = inner
        return
    item.obj = _as_step(test)
    try:
        yield
    finally:
        item.obj = test


@contextmanager
def patched_fixture(fixturedef: Any) -> Iterator[None]:
    """
    Make a fixture, its part after `yield` included, a step of the running test, in the
    block. Never switches.
    """
    _hold_transactions()
    fixture = fixturedef.func
    fixturedef.func = _as_step(fixture)
    try:
        yield
    finally:
        fixturedef.func = fixture


def _as_step(fn: Callable[..., Any]) -> Callable[..., Any]:
    if iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def step(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with _step() as has_transactions:
                try:
                    return await fn(*args, **kwargs)
                finally:
                    if not has_transactions:
                        # An open connection would keep SQLite locked, and hide that a
                        # later test has not asked for a database.
                        await close_pools()

        return step
    if isasyncgenfunction(fn):

        @functools.wraps(fn)
        async def steps(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            generator = fn(*args, **kwargs)
            while True:
                with _step():
                    try:
                        value = await anext(generator)
                    except StopAsyncIteration:
                        return
                yield value

        return steps
    if isgeneratorfunction(fn):

        @functools.wraps(fn)
        def plain_steps(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = fn(*args, **kwargs)
            while True:
                with _step():
                    try:
                        value = next(generator)
                    except StopIteration:
                        return
                yield value

        return plain_steps

    @functools.wraps(fn)
    def plain_step(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _step():
            return fn(*args, **kwargs)

    return plain_step
