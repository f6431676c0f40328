"""Errors in the frame of the part of the site that was asked for."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from starlette.exceptions import HTTPException

from tests.web.serving import serving
from vinyl.web import path
from vinyl.web.errors.framed import frame_errors

pytestmark = pytest.mark.anyio

ERRORS = {
    "missing": Http404("The name of a table"),
    "forbidden": PermissionDenied("A secret"),
    "teapot": HTTPException(418, "Short and stout", {"X-Spout": "here"}),
    "broken": ZeroDivisionError("A secret"),
}


def page(request: Any, status: int, detail: str) -> HttpResponse:
    return HttpResponse(f"<p>framed {status} {detail}</p>", status=status)


async def fail(request: Any, name: str) -> Any:
    frame_errors(request, page)
    raise ERRORS[name]


async def fail_with_its_page(request: Any) -> Any:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError

    frame_errors(request, broken)
    raise Http404


urls = [path("plain/", fail_with_its_page), path("<name>/", fail)]


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("missing", 404, ""),
        ("forbidden", 403, ""),
        ("teapot", 418, "Short and stout"),
        ("broken", 500, ""),
    ],
)
async def test_the_page_of_the_part_takes_the_place_of_the_plain_one(
    name: str, status: int, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(*urls) as http:
        response = await http.get(f"/{name}/")
    assert response.status_code == status
    assert response.text == f"<p>framed {status} {detail}</p>"
    assert response.headers.get("x-spout") == ("here" if name == "teapot" else None)
    # Reported as ever.
    assert [r.status_code for r in caplog.records] == [status]  # type: ignore[attr-defined]


async def test_clients_that_prefer_json_get_json() -> None:
    async with serving(*urls) as http:
        response = await http.get("/missing/", headers={"accept": "application/json"})
    assert response.json() == {"status": 404, "title": "Not Found"}


async def test_a_page_that_fails_leaves_the_plain_one() -> None:
    async with serving(*urls) as http:
        response = await http.get("/plain/")
    assert response.status_code == 404
    assert "Not Found" in response.text


def test_a_request_without_a_scope_keeps_the_pages_of_its_handler() -> None:
    request = HttpRequest()
    frame_errors(request, page)
    assert not hasattr(request, "scope")
