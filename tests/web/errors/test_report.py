"""Errors are logged once, under Django's names, by email too, and without secrets."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from django.core import mail
from django.core.signals import got_request_exception
from django.views.decorators.debug import (
    sensitive_post_parameters,
    sensitive_variables,
)

from tests.web.errors.failing import admins
from tests.web.serving import serving, serving_on_a_socket
from vinyl.web import PlainTextResponse, Request, StreamingResponse, path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "outbox")]


@sensitive_variables("password")
@sensitive_post_parameters("card")
async def broken(request: Request) -> Any:
    password = "hunter2"  # noqa: F841
    harmless = "shown"  # noqa: F841
    form = await request.form()
    raise ZeroDivisionError(f"in the view, with {len(form)} field")


@sensitive_variables("password")
@sensitive_post_parameters()
def broken_plainly(request: Request) -> Any:
    password = "hunter2"  # noqa: F841
    harmless = "shown"  # noqa: F841
    request.POST["card"]
    raise ZeroDivisionError("in the view")


@pytest.mark.parametrize("view", [broken, broken_plainly])
async def test_admins_get_an_email_without_secrets(view: Any) -> None:
    settings = {**admins(), "SECRET_KEY": "not-to-be-shown"}
    async with serving(path("pay/", view), **settings) as http:
        response = await http.post(
            "/pay/?q=1",
            data={"card": "4111-2222"},
            headers={"Cookie": "sessionid=stolen"},
        )
        assert response.status_code == 500
    [message] = mail.outbox
    assert "ERROR (EXTERNAL IP): Internal Server Error: POST /pay/" in message.subject
    assert message.to == ["nina@example.org"]
    [(html, _)] = message.alternatives
    for text in (message.body, html):
        assert "ZeroDivisionError" in text
        for secret in ("hunter2", "4111-2222", "stolen", "not-to-be-shown"):
            assert secret not in text
    assert "shown" in html


async def fine(request: Request) -> Any:
    return PlainTextResponse("fine")


async def test_refusals_send_no_mail() -> None:
    settings = {**admins(), "MIDDLEWARE": ["vinyl.web.security.SecurityMiddleware"]}
    async with serving(path("", fine), **settings) as http:
        assert (await http.get("/", headers={"Host": "evil.test"})).status_code == 400
        assert (await http.get("/nothing/")).status_code == 404
    assert mail.outbox == []


# ----- Once


async def half(request: Request) -> Any:
    async def parts() -> Any:
        yield "half a page"
        raise ZeroDivisionError("too late for a page")

    return StreamingResponse(parts())


class FailingMiddleware:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            raise ZeroDivisionError("of the middleware")


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.name for r in caplog.records if r.exc_info]


async def test_an_interrupted_response_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with serving_on_a_socket(path("", half), path("view/", broken)) as http:
        with pytest.raises(Exception, match="incomplete chunked read"):
            await http.get("/")
        assert tracebacks(caplog) == ["django.request"]
        assert "Response interrupted: GET /" in caplog.text
        await http.get("/view/")
        assert tracebacks(caplog) == ["django.request"] * 2


async def test_an_error_after_the_response_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    middleware = [f"{__name__}.FailingMiddleware"]
    async with serving_on_a_socket(path("", fine), MIDDLEWARE=middleware) as http:
        assert (await http.get("/")).text == "fine"
        # The next one has a connection of its own.
        assert (await http.get("/")).text == "fine"
    assert tracebacks(caplog) == ["django.request"] * 2


ONE = ZeroDivisionError("kept by a module")


async def test_an_error_that_is_raised_again_is_logged_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def view(request: Request) -> Any:
        raise ONE

    async with serving(path("", view)) as http:
        await asyncio.gather(http.get("/"), http.get("/"))
    assert tracebacks(caplog) == ["django.request"] * 2


async def test_control_characters_are_escaped(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(path("", fine)) as http:
        await http.get("/%0aERROR forged")
    [record] = [r for r in caplog.records if r.name == "django.request"]
    assert record.getMessage() == r"Not Found: GET /\nERROR forged"
    assert record.status_code == 404
    assert record.request.path == "/\nERROR forged"


async def test_djangos_signal_is_sent() -> None:
    seen = []

    def receiver(sender: Any, request: Any, **kwargs: Any) -> None:
        seen.append(request.path)
        raise RuntimeError("of a receiver")

    got_request_exception.connect(receiver)
    try:
        async with serving(path("", broken)) as http:
            assert (await http.get("/")).status_code == 500
            assert (await http.get("/none/")).status_code == 404
    finally:
        got_request_exception.disconnect(receiver)
    assert seen == ["/"]
