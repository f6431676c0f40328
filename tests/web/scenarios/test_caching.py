"""Django's caches in views: whole pages by `cache_page`, and values."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import override_settings
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_cookie

from tests.web.serving import serving, templates
from vinyl.orm import run
from vinyl.web import PlainTextResponse, Request, Response, path, render

pytestmark = pytest.mark.anyio

BACKENDS = {
    "locmem": "django.core.cache.backends.locmem.LocMemCache",
    "file": "django.core.cache.backends.filebased.FileBasedCache",
    "database": "django.core.cache.backends.db.DatabaseCache",
}


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path, db: str) -> Any:
    location = str(tmp_path) if request.param == "file" else "vinyl_pages"
    setting = {"BACKEND": BACKENDS[request.param], "LOCATION": location}
    with override_settings(CACHES={"default": setting}):
        await run(call_command, "createcachetable", verbosity=0)
        await cache.aclear()
        yield
        await cache.aclear()


async def test_whole_pages(backend: None) -> None:
    made: list[str] = []

    @cache_page(60)
    def view(request: Request) -> Response:
        made.append(request.get_full_path())
        return PlainTextResponse(f"page {len(made)}", headers={"X-Own": "1"})

    @cache_page(60)
    def rendered(request: Request) -> Response:
        made.append(request.get_full_path())
        return render(request, "page.html", {"number": len(made)})

    files = {"page.html": "<p>{{ number }}</p>"}
    patterns = [path("", view), path("rendered/", rendered)]
    async with serving(*patterns, **templates(files=files)) as http:
        for url in ("/", "/?page=2", "/rendered/"):
            first, again = await http.get(url), await http.get(url)
            assert again.text == first.text
            assert dict(again.headers) == {**first.headers, "age": again.headers["age"]}
            assert "max-age=60" in first.headers["cache-control"]
    assert made == ["/", "/?page=2", "/rendered/"]


async def test_values(backend: None) -> None:
    async def awaiting(request: Request) -> Response:
        await cache.aset("artist", "Nina")
        return PlainTextResponse(await cache.aget("artist"))

    def plain(request: Request) -> Response:
        return PlainTextResponse(cache.get("artist") + cache.get("label", "?"))

    async with serving(path("", awaiting), path("plain/", plain)) as http:
        assert (await http.get("/")).text == "Nina"
        assert (await http.get("/plain/")).text == "Nina?"


async def test_pages_of_each_visitor(backend: None) -> None:
    @cache_page(60)
    @vary_on_cookie
    async def view(request: Request) -> Response:
        return PlainTextResponse(request.COOKIES["who"])

    async with serving(path("", view)) as http:
        for _ in range(2):
            for who in ("nina", "bud"):
                response = await http.get("/", headers={"cookie": f"who={who}"})
                assert response.text == who
