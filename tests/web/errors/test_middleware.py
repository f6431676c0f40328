"""Error pages: telling in debug mode, silent in production, and never a query."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpResponse
from django.views.debug import ExceptionReporter
from starlette.exceptions import HTTPException

from tests.records.models import Album, Artist
from tests.web.serving import serving, templates
from vinyl.orm.recording import recording
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
        with pytest.raises(httpx.RemoteProtocolError, match="middle of its response"):
            await http.get("/")
    async with serving(path("", view), raising=True) as http:
        with pytest.raises(ZeroDivisionError, match="too late"):
            await http.get("/")


# ----- What clients and projects ask for

JSON = {"Accept": "application/json"}
TEXT = {"Accept": "text/plain"}


class TestKinds:
    async def test_json_and_text_for_visitors(self) -> None:
        limited = HTTPException(429, "Slow down.", headers={"Retry-After": "5"})
        files = {"404.html": "a page"}
        patterns = (raising(limited), path("broken/", broken))
        async with serving(*patterns, **templates(files=files)) as http:
            told = await http.get("/", headers=JSON)
            missing = await http.get("/none/", headers=JSON)
            sorry = await http.get("/broken/", headers=TEXT)
            page = await http.get("/none/", headers={"Accept": "text/html, */*;q=0.1"})
        assert told.status_code == 429
        assert told.headers["retry-after"] == "5"
        assert told.json() == {
            "status": 429,
            "title": "Too Many Requests",
            "detail": "Slow down.",
        }
        assert missing.json() == {"status": 404, "title": "Not Found"}
        assert sorry.headers["content-type"].startswith("text/plain")
        assert (sorry.status_code, sorry.text) == (500, "500 Internal Server Error\n")
        assert page.text == "a page"

    async def test_json_and_text_for_developers(self) -> None:
        async with serving(path("shop/", broken), **DEBUG) as http:
            text = await http.get("/shop/", headers=TEXT)
            told = await http.get("/shop/", headers=JSON)
            missing = await http.get("/none/", headers=JSON)
        assert text.status_code == told.status_code == 500
        assert "ZeroDivisionError" in text.text
        assert "<html" not in text.text
        answer = told.json()
        assert answer["detail"] == "ZeroDivisionError: told to <developers> alone"
        assert __file__ in answer["traceback"]
        assert missing.json()["tried"] == ["shop/"]
        for response in (text, told):
            assert "not-to-be-shown" not in response.text

    @pytest.mark.parametrize("accept", ["", "rubbish", ";;;", "text/html;" * 3000])
    async def test_a_malformed_accept_header(self, accept: str) -> None:
        async with serving() as http:
            response = await http.get("/none/", headers={"Accept": accept})
        assert response.status_code == 404


async def teapot(request: Request, exception: Exception) -> Response:
    return Response(f"teapot: {type(exception).__name__}", 418)


def plain_sorry(request: Request) -> Any:
    return HttpResponse(f"sorry, {Artist.objects.count()} artists", status=503)


class TestHandlers:
    """`handler404` and so on in the root urlconf."""

    def urlconf(self, *patterns: Any, **handlers: Any) -> Any:
        module = ModuleType("tests.with_handlers")
        vars(module).update(urlpatterns=list(patterns), **handlers)
        return {"ROOT_URLCONF": module}

    async def test_async_and_plain_ones(self) -> None:
        handlers = {"handler404": teapot, "handler500": f"{__name__}.plain_sorry"}
        settings = self.urlconf(path("", broken), **handlers)
        async with serving(**settings) as http:
            missing, sorry = await http.get("/none/"), await http.get("/")
        assert (missing.status_code, missing.text) == (418, "teapot: Resolver404")
        assert (sorry.status_code, sorry.text) == (503, "sorry, 0 artists")

    async def test_one_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        async def fails(request: Request, exception: Any = None) -> None:
            raise RuntimeError("in the handler")

        settings = self.urlconf(path("", broken), handler404=fails, handler500=fails)
        async with serving(**settings) as http:
            missing, sorry = await http.get("/none/"), await http.get("/")
        assert (missing.status_code, sorry.status_code) == (404, 500)
        assert "404 Not Found" in missing.text
        told = [r.exc_info[0].__name__ for r in caplog.records if r.exc_info]
        assert told == ["RuntimeError", "ZeroDivisionError", "RuntimeError"]

    async def test_they_are_for_visitors(self) -> None:
        settings = self.urlconf(path("", broken), handler404=teapot)
        async with serving(**settings, **DEBUG) as http:
            assert (await http.get("/none/")).status_code == 404


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


# ----- The debug page


async def test_the_page_shows_the_queries_so_far() -> None:
    async def view(request: Request) -> Response:
        await Artist.objects.filter(name="<Nina>").count()
        raise ZeroDivisionError

    middleware = [f"{__name__}.Recording"]
    async with serving(path("", view), MIDDLEWARE=middleware, **DEBUG) as http:
        response = await http.get("/")
    assert '<div id="queries"' in response.text
    assert "records_artist" in response.text
    assert "&lt;Nina&gt;" in response.text
    assert "<Nina>" not in response.text
    assert f"{Path(__file__).name}:" in response.text.partition('id="queries"')[2]


class Recording:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with recording(full=True):
            await self.app(scope, receive, send)


async def test_an_error_while_a_template_is_rendered_shows_its_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "page.html").write_text("<p>\n\n{{ album.misspelt.name }}\n</p>")

    async def view(request: Request) -> Response:
        return await render(request, "page.html", {"album": Artist(name="Nina")})

    engine = {
        "BACKEND": "vinyl.web.templating.Jinja2",
        "DIRS": [tmp_path],
    }
    async with serving(path("", view), **DEBUG, TEMPLATES=[engine]) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "Error during template rendering" in response.text
    assert f"In template <code>{tmp_path / 'page.html'}</code>" in response.text
    assert "error at line <strong>3</strong>" in response.text


async def test_a_form_that_nobody_read_is_not_read_for_the_page() -> None:
    received = []

    async def view(request: Request) -> Response:
        real = request._receive

        async def receive() -> Any:
            received.append(1)
            return await real()

        request._receive = receive
        raise ZeroDivisionError

    async with serving(path("", view), **DEBUG) as http:
        response = await http.post("/", data={"title": "Pastel Blues"})
    assert "ZeroDivisionError" in response.text
    assert received == []


async def test_a_form_that_was_read_is_shown() -> None:
    async def view(request: Request) -> Response:
        await request.form()
        raise ZeroDivisionError

    async with serving(path("", view), **DEBUG) as http:
        response = await http.post("/", data={"title": "Pastel Blues"})
    shown = response.text.partition('<h3 id="post-info">')[2]
    assert "Pastel Blues" in shown.partition("<h3")[0]


class Loud(ExceptionReporter):
    def get_traceback_html(self) -> str:
        return "a reporter of the project's"


async def test_the_projects_own_reporter() -> None:
    setting = {"DEFAULT_EXCEPTION_REPORTER": f"{__name__}.Loud"}
    async with serving(path("", broken), **DEBUG, **setting) as http:
        assert "a reporter of the project's" in (await http.get("/")).text


class Failing(ExceptionReporter):
    def get_traceback_html(self) -> str:
        raise RuntimeError("in the reporter")


async def test_a_reporter_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    setting = {"DEFAULT_EXCEPTION_REPORTER": f"{__name__}.Failing"}
    async with serving(path("", broken), **DEBUG, **setting) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "ZeroDivisionError: told to &lt;developers&gt; alone" in response.text
    assert "RuntimeError: in the reporter" in response.text
    assert "in the reporter" in caplog.text


# ----- Headers


def with_header(name: str, value: str) -> Any:
    async def view(request: Request) -> Response:
        response = Response("served")
        response.raw_headers.append((name.encode(), value.encode()))
        return response

    return path("", view)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-name", "a\r\nset-cookie: admin=1"),
        ("x-name", "a\nb"),
        ("x-name", "a\rb"),
        ("x-name", "a\0b"),
        ("x-a\r\nset-cookie", "admin=1"),
        ("set-cookie", "a=b\r\nlocation: https://evil.test"),
        ("content-disposition", 'attachment; filename="a\r\nset-cookie: b"'),
    ],
)
async def test_no_header_brings_others(
    name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(with_header(name, value)) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert not {"set-cookie", "location", "x-name"} & set(response.headers)
    assert "BadHeaderError" in caplog.text


async def test_nor_does_one_of_an_error_or_of_middleware() -> None:
    evil = HTTPException(401, headers={"WWW-Authenticate": "a\r\nset-cookie: b=c"})
    async with serving(raising(evil)) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "www-authenticate" not in response.headers
    middleware = [f"{__name__}.Injecting"]
    async with serving(path("", missing), MIDDLEWARE=middleware) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "x-name" not in response.headers


class Injecting:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-name", b"a\r\nset-cookie: b=c"))
            await send(message)

        await self.app(scope, receive, sending)
