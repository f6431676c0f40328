"""What middleware writes into META is in the headers."""

from __future__ import annotations

from typing import Any

from vinyl.web import Request
from vinyl.web.http.meta import Meta

META: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "headers": [(b"x-was", b"1")],
}


def test_headers_follow_what_middleware_writes_into_meta() -> None:
    request = Request({**META})
    assert "Authorization" not in request.headers
    request.META["HTTP_AUTHORIZATION"] = "Bearer x"
    assert request.headers["Authorization"] == "Bearer x"
    assert request.headers["X-Was"] == "1"
    del request.META["HTTP_AUTHORIZATION"]
    request.META.update(HTTP_X_NEW="2", REMOTE_ADDR="192.0.2.1")
    assert request.headers.keys() == ["x-was", "x-new"]


def test_headers_follow_an_assigned_meta() -> None:
    request = Request({**META})
    assert request.headers["X-Was"] == "1"
    request.META = {"HTTP_X_NEW": "2", "CONTENT_TYPE": "text/plain"}
    assert request.headers.keys() == ["x-new", "content-type"]
    assert request.GET == {}


def test_reading_meta_leaves_the_headers_as_they_are() -> None:
    headers = [(b"x-twice", b"1"), (b"x-twice", b"2")]
    request = Request({**META, "headers": headers})
    assert request.META["HTTP_X_TWICE"] == "1,2"
    assert request.headers.getlist("x-twice") == ["1", "2"]


def test_each_method_that_changes_it_is_noted() -> None:
    changes: list[Any] = [
        lambda meta: meta.__setitem__("HTTP_A", "1"),
        lambda meta: meta.__delitem__("HTTP_WAS"),
        lambda meta: meta.__ior__({"HTTP_A": "1"}),
        lambda meta: meta.setdefault("HTTP_A", "1"),
        lambda meta: meta.update(HTTP_A="1"),
        lambda meta: meta.pop("HTTP_WAS"),
        lambda meta: meta.popitem(),
        lambda meta: meta.clear(),
    ]
    for change in changes:
        meta = Meta(HTTP_WAS="1")
        assert not meta.changed
        change(meta)
        assert meta.changed
