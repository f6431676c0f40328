"""What an error, or a group of errors, means for the response."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
import urllib.error
from email.message import Message
from typing import Any

import jinja2
import pytest
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.http import Http404
from django.urls import Resolver404
from starlette.exceptions import HTTPException

from tests.web.errors.failing import JSON, TEXT, raising
from tests.web.serving import serving
from vinyl.web import Request, Response, path
from vinyl.web.errors.problem import Problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class Unreadable:
    """A value that cannot be shown or compared."""

    def refuse(self, *args: Any) -> Any:
        raise RuntimeError

    __str__ = __repr__ = __eq__ = __bool__ = refuse
    __hash__ = None  # type: ignore[assignment]


class Uninitialised(HTTPException):
    def __init__(self) -> None:
        """Leaves out what Starlette's would set."""


@pytest.mark.parametrize(
    ("error", "status", "reason", "detail"),
    [
        (HTTPException(429, "Slow down."), 429, "Slow down.", "Slow down."),
        (HTTPException(429), 429, "", ""),
        (Http404("Not here."), 404, "Not here.", ""),
        (Resolver404({"tried": []}), 404, "", ""),
        (PermissionDenied("Not you."), 403, "Not you.", ""),
        (RequestDataTooBig("Too long."), 413, "Too long.", ""),
        (BadRequest("Not so."), 400, "Not so.", ""),
        (SuspiciousOperation("Not honest."), 400, "Not honest.", ""),
        (ZeroDivisionError("Not expected."), 500, "", ""),
        (Uninitialised(), 500, "", ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_developers_and_clients_may_read(
    error: Exception, status: int, reason: str, detail: str
) -> None:
    problem = Problem.of(error)
    assert problem.error is error
    assert (problem.status, problem.reason, problem.detail) == (status, reason, detail)


@pytest.mark.parametrize("kind", [Http404, PermissionDenied, BadRequest])
def test_a_text_that_cannot_be_shown_is_named(kind: type[Exception]) -> None:
    reason = "whose text cannot be shown: RuntimeError"
    assert reason in Problem.of(kind(Unreadable())).reason
    assert reason in Problem.of(HTTPException(404, Unreadable())).reason


@pytest.mark.parametrize("headers", [{}, JSON, TEXT], ids=["HTML", "JSON", "text"])
async def test_a_detail_that_cannot_be_shown_is_left_out(
    headers: dict[str, str],
) -> None:
    error = HTTPException(404, Unreadable())
    async with serving(raising(error)) as http:
        response = await http.get("/", headers=headers)
    assert response.status_code == 404
    assert "Not Found" in response.text


async def test_only_an_http_exception_has_a_say_in_the_response() -> None:
    """Other libraries' errors have attributes of the same names."""
    received = Message()
    received["Set-Cookie"] = "theirs=1"
    received["Content-Length"] = "1000"
    errors = [
        urllib.error.HTTPError("http://api.test/", 404, "Not Found", received, None),
        jinja2.TemplatesNotFound(["theirs.html"]),
    ]
    for error in errors:
        vars(error)["logger"] = "theirs"
        async with serving(raising(error)) as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "set-cookie" not in response.headers
        assert "500 Internal Server Error" in response.text


# ----- Groups


def in_a_group(*errors: Exception) -> Any:
    async def view(request: Request) -> Response:
        async def fail(error: Exception) -> None:
            raise error

        async with asyncio.TaskGroup() as group:
            for error in errors:
                group.create_task(fail(error))
        return Response("never")

    return path("", view)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([Http404("a")], 404),
        ([Http404("a"), Http404("b")], 404),
        ([PermissionDenied("a")], 403),
        ([Http404("a"), PermissionDenied("b")], 500),
        ([Http404("a"), ValueError("b")], 500),
        ([ValueError("only one")], 500),
        ([ExceptionGroup("inner", [Http404("a")])], 404),
    ],
    ids=str,
)
async def test_a_group_is_what_is_in_it(
    errors: list[Exception], status: int, debug: bool
) -> None:
    async with serving(in_a_group(*errors), DEBUG=debug) as http:
        response = await http.get("/")
    assert response.status_code == status
    if debug and status == 500:
        for error in errors:
            assert type(error).__name__ in response.text
            assert str(error) in response.text


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ValidationError("Too %(size)s.", params={"size": "long"}), ["Too long."]),
        (ValidationError(["One.", "Two."]), ["One.", "Two."]),
        (ValidationError({"title": ["Missing."]}), {"title": ["Missing."]}),
    ],
    ids=["message", "list", "fields"],
)
async def test_a_validation_error_is_422_for_a_client_that_asks_for_json(
    error: ValidationError, detail: Any
) -> None:
    async with serving(raising(error)) as http:
        asked = await http.get("/", headers=JSON)
        assert asked.status_code == 422
        assert asked.json()["detail"] == detail
        # In a page nobody expects it.
        assert (await http.get("/")).status_code == 500
