"""Conflicts for the tests of retry_on_conflict(), and the ways to call it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any

import psycopg.errors
import pytest
from django.db import OperationalError

from vinyl.bridge.flows import drive_async, use_driver
from vinyl.orm import connection, retry, run, transaction

Flow = Callable[..., Generator[Any, Any, Any]]


def serialization_failure() -> OperationalError:
    """An error as Django raises it when PostgreSQL tells of a conflict."""
    error = OperationalError("could not serialize access")
    error.__cause__ = psycopg.errors.SerializationFailure()
    return error


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each pause may have been, in seconds; none is waited for."""
    limits: list[float] = []

    def uniform(low: float, high: float) -> float:
        limits.append(high)
        return low

    monkeypatch.setattr(retry.random, "uniform", uniform)
    return limits


class Mode:
    """How a test calls what is decorated."""

    def __init__(self, name: str) -> None:
        self.name = name

    def decorated(self, flow: Flow, **arguments: Any) -> Callable[..., Any]:
        """*flow* as a function of the mode's kind, with both decorators."""
        retry = transaction.retry_on_conflict(**arguments)
        if self.name != "async def":
            return retry(transaction.atomic(use_driver(flow)))

        @retry
        @transaction.atomic
        async def native(*args: Any) -> Any:
            return await drive_async(flow(*args))

        return native

    async def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        if self.name == "thread":
            return await asyncio.to_thread(_closing_connection, fn, *args)
        if self.name == "bridge":
            return await run(fn, *args)
        return await fn(*args)

    def meeting(self) -> Callable[..., Any]:
        """A function that two callers call, and that returns when both have."""
        if self.name == "thread":
            return threading.Barrier(2, timeout=60).wait
        return asyncio.Barrier(2).wait


def _closing_connection(fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    finally:
        connection.close()


@pytest.fixture(params=["async def", "plain", "bridge", "thread"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)
