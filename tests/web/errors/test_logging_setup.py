"""Emails to ADMINS do not hold up the event loop, and uvicorn logs nothing twice."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import logging
import threading
from typing import Any

import httpx
import pytest
from django.core import mail
from django.core.mail.backends import locmem

from tests.web.errors.failing import admins, broken
from tests.web.serving import serving, serving_on_a_socket
from vinyl.web import PlainTextResponse, Request, StreamingResponse, path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "outbox")]


class SlowBackend(locmem.EmailBackend):
    """Takes until the test says so; notes its thread."""

    thread: Any = None
    go_on = threading.Event()

    def send_messages(self, messages: Any) -> int:
        SlowBackend.thread = threading.current_thread()
        assert SlowBackend.go_on.wait(20)
        return super().send_messages(messages)


class BrokenBackend(locmem.EmailBackend):
    def send_messages(self, messages: Any) -> int:
        raise OSError("no mail server")


async def fine(request: Request) -> Any:
    return PlainTextResponse("fine")


async def test_sending_a_mail_does_not_block_the_loop() -> None:
    SlowBackend.go_on.clear()
    async with serving(
        path("", broken), path("fine/", fine), **admins(f"{__name__}.SlowBackend")
    ) as http:
        assert (await http.get("/")).status_code == 500
        assert (await http.get("/fine/")).text == "fine"
        assert mail.outbox == []
        SlowBackend.go_on.set()
    # The end of the application waits for it.
    assert len(mail.outbox) == 1
    assert SlowBackend.thread is not threading.main_thread()


async def test_a_mail_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(path("", broken), **admins(f"{__name__}.BrokenBackend")) as http:
        assert (await http.get("/")).status_code == 500
    assert "no mail server" in caplog.text


async def test_the_server_does_not_tell_it_once_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def view(request: Request) -> Any:
        async def pieces() -> Any:
            yield "half"
            raise ExceptionGroup("of a TaskGroup", [ZeroDivisionError("half")])

        return StreamingResponse(pieces())

    async with serving_on_a_socket(path("", view)) as http:
        # It has a handler of its own, and passes nothing on.
        server = logging.getLogger("uvicorn.error")
        server.addHandler(caplog.handler)
        try:
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get("/")
        finally:
            server.removeHandler(caplog.handler)
    told = [r for r in caplog.records if r.exc_info]
    assert [r.name for r in told] == ["django.request"]
