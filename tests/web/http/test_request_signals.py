"""Receivers of request_started and request_finished, which packages connect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.dispatch import Signal

from tests.records.models import Artist
from tests.web.serving import serving, serving_on_a_socket
from vinyl.orm import in_bridge
from vinyl.web import Response, path
from vinyl.web.http import request_signals
from vinyl.web.http.request_signals import is_heard

pytestmark = pytest.mark.anyio


@contextmanager
def connected(*pairs: tuple[Signal, Any]) -> Iterator[None]:
    for signal, receiver in pairs:
        signal.connect(receiver)
    try:
        yield
    finally:
        for signal, receiver in pairs:
            signal.disconnect(receiver)


@pytest.mark.usefixtures("db")
async def test_receivers_of_both_kinds_use_the_database(events: list[Any]) -> None:
    def started(sender: Any, scope: Any, **kwargs: Any) -> None:
        assert in_bridge()
        events.append(("started", scope["path"], Artist.objects.count()))

    async def finished(sender: Any, **kwargs: Any) -> None:
        events.append(("finished", sender.__name__, await Artist.objects.count()))

    async def view(request: Any) -> Response:
        events.append("view")
        return Response("done")

    with connected((request_started, started), (request_finished, finished)):
        async with serving_on_a_socket(path("page/", view)) as http:
            assert (await http.get("/page/")).text == "done"
    assert events == [("started", "/page/", 0), "view", ("finished", "ASGIHandler", 0)]


async def test_the_end_of_a_request_that_fails_is_sent(events: list[Any]) -> None:
    def finished(**kwargs: Any) -> None:
        events.append("finished")

    async def view(request: Any) -> Response:
        raise ValueError("a mistake")

    with connected((request_finished, finished)):
        async with serving(path("", view)) as http:
            assert (await http.get("/")).status_code == 500
    assert events == ["finished"]


async def test_djangos_own_receivers_are_not_called(
    events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its close_old_connections() and reset_queries() are for its handlers."""
    # A later function may get the id of this one.
    monkeypatch.setattr(request_signals, "_djangos", set())
    assert not is_heard()

    def djangos(**kwargs: Any) -> None:
        events.append("of Django")

    monkeypatch.setattr(djangos, "__module__", "django.db")

    def ours(**kwargs: Any) -> None:
        events.append("ours")

    async def view(request: Any) -> Response:
        return Response("done")

    async with serving(path("", view)) as http:
        with connected((request_started, djangos)):
            assert not is_heard()
            with connected((request_started, ours)):
                await http.get("/")
            await http.get("/")
    assert events == ["ours"]


async def test_a_receiver_that_is_gone_is_not_called() -> None:
    class Receiver:
        def receive(self, **kwargs: Any) -> None:
            raise AssertionError

    receiver = Receiver()
    request_started.connect(receiver.receive)
    del receiver
    assert not is_heard()


@pytest.fixture
def events() -> list[Any]:
    return []
