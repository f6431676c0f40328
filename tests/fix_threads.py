"""Fixtures about threads that work for an event loop."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections


@pytest.fixture
async def thread(db: str) -> AsyncIterator[None]:
    """The thread of `sync_to_async` is one for this test, as it is for a request."""
    async with ThreadSensitiveContext():
        yield
        await sync_to_async(connections.close_all)()


class Gate:
    """
    Where a thread waits until the test lets it go on.

    Attributes: `reached`, set when the thread is there.
    """

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(30)

    def open(self) -> None:
        self.opened.set()


@pytest.fixture
def gates() -> Callable[[], Gate]:
    return Gate
