"""How messages name a view, whatever is wrapped around it."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from django.views.generic import View

from vinyl.web.routing.view_names import describe_view, explain_result


async def view(request: Any, pk: int = 0) -> None: ...


@functools.wraps(view)
def decorated(*args: Any) -> Any: ...


class Called:
    def __call__(self, request: Any) -> None: ...


class Page(View):
    def get(self, request: Any) -> None: ...


@pytest.mark.parametrize(
    ("named", "name"),
    [
        (view, "view"),
        (decorated, "view"),
        (functools.partial(view, pk=1), "view"),
        (Called(), "Called.__call__"),
        (Page.as_view(), "Page.get"),
    ],
)
def test_a_view_is_named_with_its_file_and_line(named: Any, name: str) -> None:
    described = describe_view(named, "GET")
    assert described.startswith(f"The view {__name__}.{name} ({__file__}, line ")


def test_a_view_without_a_source_is_named() -> None:
    assert describe_view(len) == "The view len"


def test_what_is_not_a_response_is_explained() -> None:
    assert "every branch ends with a return" in explain_result(None)
    assert "'text', which is not a response" in explain_result("text")
    assert "contains `yield`" in explain_result(part for part in [1])
    call: Any = view(None)
    assert "was not awaited" in explain_result(call)
    assert call.cr_frame is None
