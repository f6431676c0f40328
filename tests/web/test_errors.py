"""Error pages: telling in debug mode, silent in production, and never a query."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404
from starlette.exceptions import HTTPException

from tests.records.models import Album, Artist
from tests.web.serving import serving, templates
from vinyl.web import Request, Response, StreamingResponse, include, path, render

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

DEBUG: dict[str, Any] = {"DEBUG": True, "SECRET_KEY": "not-to-be-shown"}


async def album(request: Request, pk: int) -> Response:
    album = await Album.objects.get(pk=pk)
    return Response(album.artist.name)


async def missing(request: Request) -> Response:
    raise Http404("No album of that name.")


async def broken(request: Request) -> Response:
    password = "hunter2"  # noqa: F841
    raise ZeroDivisionError("told to <developers> alone")


def raising(error: Exception) -> Any:
    async def view(request: Request) -> Response:
        raise error

    return path("", view)


async def make_album() -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    return await Album.objects.create(title="Pastel Blues", artist=artist)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Http404("not here"), 404),
        (PermissionDenied("not you"), 403),
        (BadRequest("not so"), 400),
        (SuspiciousOperation("not honest"), 400),
        (HTTPException(429, headers={"Retry-After": "5"}), 429),
        (HTTPException(503), 503),
        (ValueError("not expected"), 500),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else type(value).__name__,
)
async def test_errors_and_their_status(
    error: Exception, status: int, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(raising(error), DEBUG=debug) as http:
        response = await http.get("/")
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    if status == 429:
        assert response.headers["retry-after"] == "5"
    if not debug:
        # What the error says may be for developers alone.
        assert "not " not in response.text.lower().replace("not found", "")
    [record] = [r for r in caplog.records if r.name.startswith("django.")]
    assert record.levelname == ("ERROR" if status >= 500 else "WARNING")
    assert (record.exc_info is not None) is (status >= 500)


class TestProduction:
    async def test_nothing_of_an_error_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving(path("", broken), SECRET_KEY="not-to-be-shown") as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "Internal Server Error" in response.text
        for secret in ("ZeroDivisionError", "developers", "hunter2", "not-to-be-shown"):
            assert secret not in response.text
        assert "ZeroDivisionError: told to <developers> alone" in caplog.text

    async def test_the_projects_own_pages(self) -> None:
        files = {
            "404.html": "{{ status }} {{ phrase }} {{ request.url.path }}",
            "500.html": "Sorry",
        }
        patterns = (path("", broken), path("missing/", missing))
        async with serving(*patterns, **templates(files=files)) as http:
            not_found = await http.get("/elsewhere/")
            sorry = await http.get("/")
            assert (await http.get("/missing/")).text == "404 Not Found /missing/"
        assert (not_found.status_code, not_found.text) == (
            404,
            "404 Not Found /elsewhere/",
        )
        assert (sorry.status_code, sorry.text) == (500, "Sorry")

    async def test_a_page_may_use_the_database(self) -> None:
        files = {"404.html": "{{ artists().count() }} artists"}
        setting = templates(files=files, context_processors=[f"{__name__}.artists"])
        await make_album()
        async with serving(**setting) as http:
            assert (await http.get("/elsewhere/")).text == "1 artists"

    @pytest.mark.parametrize("text", ["{{ misspelt }}", "{% if %}"])
    async def test_a_broken_page_is_replaced_and_logged(
        self, text: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        setting = templates(files={"404.html": text, "500.html": text})
        async with serving(path("", broken), **setting) as http:
            missing, sorry = await http.get("/elsewhere/"), await http.get("/")
        assert (missing.status_code, sorry.status_code) == (404, 500)
        assert "404 Not Found" in missing.text
        assert "500 Internal Server Error" in sorry.text
        assert "The page for 404 failed: GET /elsewhere/" in caplog.text
        assert "ZeroDivisionError" in caplog.text

    async def test_an_error_of_the_middleware(self) -> None:
        settings = {"MIDDLEWARE": [f"{__name__}.FailingMiddleware"]}
        async with serving(path("", broken), **settings) as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "of the middleware" not in response.text


def artists(request: Request) -> dict[str, Any]:
    return {"artists": Artist.objects.all}


class FailingMiddleware:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            raise RuntimeError("of the middleware")
        await self.app(scope, receive, send)


class TestDebug:
    async def test_an_unknown_address_shows_what_was_tried(self) -> None:
        shop = ([path("<slug:slug>/", missing, name="album")], "shop")
        patterns = (path("", broken, name="home"), path("shop/", include(shop)))
        async with serving(*patterns, **DEBUG) as http:
            response = await http.get("/shop/pastel/<b>")
        assert response.status_code == 404
        assert "<b>" not in response.text
        assert "/shop/pastel/" in response.text
        assert "shop/ &lt;slug:slug&gt;/" in response.text
        assert "[name=&#x27;home&#x27;]" in response.text
        assert "DEBUG" in response.text

    async def test_http404_shows_its_reason(self) -> None:
        async with serving(path("", missing), **DEBUG) as http:
            response = await http.get("/")
        assert response.status_code == 404
        assert "No album of that name." in response.text

    async def test_an_error_shows_its_place_and_no_secret(self) -> None:
        async with serving(path("<slug:slug>/", broken), **DEBUG) as http:
            assert (await http.get("/")).status_code == 404
        async with serving(path("", broken), **DEBUG) as http:
            response = await http.get(
                "/?q=asked", headers={"Cookie": "sessionid=stolen"}
            )
        assert response.status_code == 500
        for shown in (
            "ZeroDivisionError",
            "told to &lt;developers&gt; alone",
            __file__,
        ):
            assert shown in response.text
        assert "asked" in response.text
        assert "not-to-be-shown" not in response.text

    async def test_a_forgotten_await_is_explained_and_nothing_fetched(
        self, queries: list[str]
    ) -> None:
        made = await make_album()
        async with serving(path("<int:pk>/", album), **DEBUG) as http:
            queries.clear()
            response = await http.get(f"/{made.pk}/")
        assert response.status_code == 500
        assert "Album.artist has not been fetched" in response.text
        # The view's own; the page shows the album without a query.
        assert len(queries) == 1

    async def test_a_post_with_a_body_the_view_has_read(self) -> None:
        async def view(request: Request) -> Response:
            await request.form()
            raise ZeroDivisionError("after the form")

        async with serving(path("", view), **DEBUG) as http:
            response = await http.post("/", data={"title": "Pastel Blues"})
        assert response.status_code == 500
        assert "after the form" in response.text

    async def test_a_template_error_shows_its_line(self) -> None:
        async def view(request: Request) -> Response:
            return await render(request, "page.html")

        setting = templates(files={"page.html": "<p>\n{% if %}\n</p>"})
        async with serving(path("", view), **DEBUG, **setting) as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "{% if %}" in response.text
        assert "TemplateSyntaxError" in response.text


async def test_an_error_after_the_start_ends_the_response() -> None:
    async def parts() -> Any:
        yield "half a page"
        raise ZeroDivisionError("too late for a page")

    async def view(request: Request) -> Response:
        return StreamingResponse(parts())

    async with serving(path("", view)) as http:
        with pytest.raises(ZeroDivisionError, match="too late"):
            await http.get("/")
