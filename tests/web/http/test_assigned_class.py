"""Packages give a request a class of their own, a subclass of Django's request."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

from tests.web.serving import serving
from vinyl.web import JSONResponse, Request, path

pytestmark = pytest.mark.anyio


class Noticing:
    def __setattr__(self, name: str, value: Any) -> None:
        if name == "user":
            vars(self).setdefault("noticed", []).append(value)
        super().__setattr__(name, value)


class NoticingRequest(Noticing, ASGIRequest):
    @property
    def greeting(self) -> str:
        return f"Hello from {self.path}"


async def test_the_request_stays_one_of_vinyl() -> None:
    async def view(request: Any) -> JSONResponse:
        request.__class__ = NoticingRequest
        request.__class__ = NoticingRequest
        request.user = "nina"
        assert {NoticingRequest, Request} <= {*type(request).__mro__}
        is_one: bool = isinstance(request, NoticingRequest)
        assert is_one
        assert request.__class__ is type(request)
        assert type(request).__name__ == "NoticingRequest"
        form = await request.form()
        return JSONResponse([request.greeting, request.noticed, form["a"]])

    async with serving(path("page/", view)) as http:
        for _ in range(2):
            response = await http.post("/page/", data={"a": "1"})
            assert response.json() == ["Hello from /page/", ["nina"], "1"]


async def test_other_requests_keep_their_class() -> None:
    async def view(request: Any) -> JSONResponse:
        if "own" in request.GET:
            request.__class__ = NoticingRequest
        return JSONResponse([type(request).__name__, isinstance(request, HttpRequest)])

    async with serving(path("", view)) as http:
        assert (await http.get("/?own=1")).json() == ["NoticingRequest", True]
        assert (await http.get("/")).json() == ["Request", True]


async def test_what_is_no_class_is_refused() -> None:
    async def view(request: Any) -> JSONResponse:
        request.__class__ = "NoticingRequest"
        return JSONResponse([])

    async with serving(path("", view), raising=True) as http:
        with pytest.raises(TypeError):
            await http.get("/")
