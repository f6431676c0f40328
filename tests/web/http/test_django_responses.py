"""Responses of Django's are sent as they are."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import datetime
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django import http
from django.http import HttpResponse
from django.template.response import TemplateResponse

from tests.records.models import Label
from tests.web.serving import serving, templates
from vinyl.web import PlainTextResponse, path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_djangos_response_is_sent(asynchronous: bool) -> None:
    def view(request: Any) -> Any:
        response = HttpResponse("Café", status=201, headers={"X-A": "1"})
        response.set_cookie("a", "1", max_age=datetime.timedelta(minutes=1))
        response.set_cookie("b", "2", httponly=True)
        return response

    async def async_view(request: Any) -> Any:
        return view(request)

    async with serving(path("", async_view if asynchronous else view)) as page:
        response = await page.get("/")
    assert (response.status_code, response.text) == (201, "Café")
    assert response.headers["content-length"] == "5"
    assert response.headers["x-a"] == "1"
    cookies = response.headers.get_list("set-cookie")
    assert "Max-Age=60" in cookies[0]
    assert "HttpOnly" in cookies[1]


async def test_a_length_that_the_view_tells_is_told_once() -> None:
    def view(request: Any) -> Any:
        return HttpResponse("Café", headers={"Content-Length": "5"})

    async with serving(path("", view)) as page:
        response = await page.get("/")
    assert response.headers.get_list("content-length") == ["5"]


async def test_a_decorator_may_change_the_content() -> None:
    def loud(view: Any) -> Any:
        async def wrapper(request: Any) -> Any:
            response = await view(request)
            response.content = response.content.decode() + " é!"
            return response

        return wrapper

    @loud
    async def view(request: Any) -> Any:
        return PlainTextResponse("hello")

    async with serving(path("", view)) as page:
        response = await page.get("/")
    assert response.text == "hello é!"
    assert response.headers["content-length"] == "9"


async def test_a_file_is_read_beside_the_event_loop() -> None:
    threads = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            threads.append(threading.current_thread())
            return super().read(size)

    def view(request: Any) -> Any:
        return http.FileResponse(Slow(b"from a file"))

    async with serving(path("", view)) as page:
        assert (await page.get("/")).text == "from a file"
    assert threads
    assert threading.current_thread() not in threads


async def test_djangos_streams_are_sent(db: Any, tmp_path: Path) -> None:
    await Label.objects.create(name="Philips")
    file = tmp_path / "a.txt"
    file.write_text("from a file")
    opened = []

    def plain(request: Any) -> Any:
        def pieces() -> Iterator[str]:
            yield "labels: "
            for label in Label.objects.iterator():
                yield label.name

        return http.StreamingHttpResponse(pieces())

    async def native(request: Any) -> Any:
        async def pieces() -> Any:
            yield "labels: "
            async for label in Label.objects.all():
                yield label.name

        return http.StreamingHttpResponse(pieces())

    def of_file(request: Any) -> Any:
        opened.append(file.open("rb"))
        return http.FileResponse(opened[0])

    urls = path("p", plain), path("n", native), path("f", of_file)
    async with serving(*urls) as page:
        assert (await page.get("/p")).text == "labels: Philips"
        assert (await page.get("/n")).text == "labels: Philips"
        response = await page.get("/f")
    assert response.text == "from a file"
    assert response.headers["content-type"] == "text/plain"
    assert opened[0].closed


async def test_a_template_response_is_rendered_in_the_bridge(db: Any) -> None:
    await Label.objects.create(name="Philips")

    async def view(request: Any) -> Any:
        return TemplateResponse(request, "a.html", {"labels": Label.objects.all()})

    texts = {"a.html": "{% for label in labels %}{{ label.name }}{% endfor %}"}
    async with serving(path("", view), **templates(files=texts)) as page:
        assert (await page.get("/")).text == "Philips"
