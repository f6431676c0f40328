"""What reports leave out, and that showing the rest neither fails nor waits."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from django.views.debug import (
    SafeExceptionReporterFilter,
    get_default_exception_reporter_filter,
)
from starlette.datastructures import FormData, Headers

from vinyl.web import Request
from vinyl.web.http.redaction import make_readable, report_filter, safe_text


def request_with(**scope: Any) -> Request:
    async def nothing(*args: Any) -> Any:
        raise AssertionError("received or sent")

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [],
        **scope,
    }
    return Request(scope, nothing, nothing)


class Failing:
    def __str__(self) -> str:
        raise LookupError


def test_a_text_that_fails_names_its_class() -> None:
    assert safe_text("text") == "text"
    shown = safe_text(Failing())
    assert shown == "<Failing whose text cannot be shown: LookupError>"


def test_headers_and_scopes() -> None:
    redact = report_filter().cleanse_special_types
    headers = Headers({"cookie": "stolen", "accept": "*/*"})
    assert redact(None, headers)["accept"] == "*/*"
    assert "stolen" not in str(redact(None, headers))
    scope = {"type": "http", "method": "GET", "path": "/a/", "headers": [("c", "d")]}
    assert redact(None, scope) == "<the scope of GET /a/>"


@pytest.mark.parametrize(("hidden", "shown"), [("__ALL__", set()), (("a",), {"b"})])
def test_forms(hidden: Any, shown: set[str]) -> None:
    request: Any = request_with()
    request.sensitive_post_parameters = hidden
    with override_settings(DEBUG=False):
        form = report_filter().cleanse_special_types(request, FormData(a="1", b="2"))
    assert {name for name, value in form.items() if value in ("1", "2")} == shown


class Own(SafeExceptionReporterFilter):
    pass


def test_the_filter_of_the_project_is_extended() -> None:
    name = f"{__name__}.Own"
    cached: Any = get_default_exception_reporter_filter
    with override_settings(DEFAULT_EXCEPTION_REPORTER_FILTER=name):
        cached.cache_clear()
        try:
            assert isinstance(report_filter(), Own)
        finally:
            cached.cache_clear()


def test_a_malformed_request_is_readable() -> None:
    request = request_with(
        query_string=b"q=\xff",
        headers=[(b"content-type", b"multipart/form-data; x*=a''%00")],
    )
    make_readable(request)
    assert request.META["REQUEST_METHOD"] == "POST"
    assert not request.GET
    assert not request.POST
    assert not request.FILES
