"""Request: bodies in views of both kinds, read once."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

from typing import Any

import pytest
import starlette.requests
from django.http import Http404, HttpRequest
from django.test import RequestFactory
from django.urls.converters import get_converters
from django.utils.functional import SimpleLazyObject

from tests.web.serving import serving
from vinyl.exceptions import NotAwaitedError
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    Request,
    Response,
    path,
    register_converter,
)
from vinyl.web.http.requests import simplify_init

Plain = starlette.requests.Request

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def test_it_has_what_starlette_sets_on_each_request() -> None:
    scope = {"type": "http", "method": "GET", "headers": []}
    ours, starlettes = Request(scope), starlette.requests.Request(scope)
    for name, value in vars(starlettes).items():
        assert getattr(ours, name) == value
    # If this fails, Starlette has changed: see simplify_init().
    assert vars(ours).keys() == {"scope", "_receive", "_send"}
    with pytest.raises(AssertionError):
        Request({"type": "websocket"})


def test_it_is_made_as_by_an_unknown_starlette(monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(Plain):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.new = 1

    class Ours(Newer): ...

    monkeypatch.setattr(starlette.requests, "Request", Newer)
    simplify_init(Ours)
    assert Ours({"type": "http"}).new == 1


async def async_body(request: Request) -> Response:
    assert await request.body() is await request.body()
    return Response(await request.body())


def plain_body(request: Request) -> Response:
    assert request.body() is request.body()
    return Response(request.body())


async def async_json(request: Request) -> Response:
    return JSONResponse([await request.json(), await request.json()])


def plain_json(request: Request) -> Response:
    return JSONResponse([request.json(), request.json()])


async def async_form(request: Request) -> Response:
    async with request.form() as form:
        return PlainTextResponse(await read_cover(form))


async def awaited_form(request: Request) -> Response:
    return PlainTextResponse(await read_cover(await request.form()))


async def read_cover(form: Any) -> str:
    content = await form["cover"].read()
    return f"{form['title']} {form['cover'].filename} {content.decode()}"


def plain_form(request: Request) -> Response:
    form = request.form()
    cover = form["cover"]
    content = cover.file.read().decode()
    return PlainTextResponse(f"{form['title']} {cover.filename} {content}")


@pytest.mark.parametrize("view", [async_body, plain_body])
async def test_the_body(view: Any) -> None:
    async with serving(path("", view)) as http:
        assert (await http.post("/", content=b"\x00 bytes")).content == b"\x00 bytes"


@pytest.mark.parametrize("view", [async_json, plain_json])
async def test_json(view: Any) -> None:
    async with serving(path("", view)) as http:
        response = await http.post("/", json={"title": "Pastel Blues"})
        assert response.json() == [{"title": "Pastel Blues"}] * 2


@pytest.mark.parametrize("view", [async_form, awaited_form, plain_form])
async def test_a_form_with_a_file(view: Any) -> None:
    async with serving(path("", view)) as http:
        response = await http.post(
            "/", data={"title": "Pastel Blues"}, files={"cover": ("a.png", b"PNG")}
        )
        assert response.text == "Pastel Blues a.png PNG"


@pytest.mark.parametrize("view", [awaited_form, plain_form])
async def test_a_broken_form_is_the_senders_mistake(view: Any) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    async with serving(path("", view)) as http:
        response = await http.post("/", content=b"no parts", headers=headers)
        assert response.status_code == 400


@pytest.mark.parametrize("method", ["body", "json"])
async def test_a_forgotten_await_is_named(method: str) -> None:
    request = Request({"type": "http", "headers": []})
    with pytest.raises(NotAwaitedError, match=rf"'Request\.{method}' .*`await`"):
        assert getattr(request, method)()["title"]


@pytest.mark.parametrize(
    "use",
    [bool, lambda form: form["title"], lambda form: "title" in form, list],
    ids=["truth", "item", "in", "list"],
)
async def test_a_form_that_was_not_awaited_is_an_error(use: Any) -> None:
    async def view(request: Request) -> Response:
        with pytest.raises(NotAwaitedError, match=r"'Request\.form' .*Write `await`"):
            use(request.form())
        return PlainTextResponse((await request.form())["title"])

    async with serving(path("", view)) as http:
        assert (await http.post("/", data={"title": "Pastel Blues"})).status_code == 200


async def test_absolute_addresses() -> None:
    seen = []

    def view(request: Request) -> Response:
        seen.extend(
            request.build_absolute_uri(*location)
            for location in [(), ("/albums/",), ("next/",), ("https://other.test/",)]
        )
        return Response()

    async with serving(path("shop/", view)) as http:
        await http.get("/shop/?page=2")
    assert seen == [
        "http://testserver/shop/?page=2",
        "http://testserver/albums/",
        "http://testserver/shop/next/",
        "https://other.test/",
    ]


async def test_a_client_that_leaves_early_is_told_apart_from_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The body of a client that has gone cannot be read; there is nobody to answer."""

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async with serving(path("", async_body)) as http:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "scheme": "http",
            "headers": [(b"host", b"testserver")],
            "server": ("testserver", 80),
        }
        await http.app(scope, receive, send)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert sent == []


def attributes_of_django() -> list[str]:
    """What Django's request sets or computes, except what has to be called."""
    request = RequestFactory().get("/")
    names = {name for name in (*vars(request), *vars(HttpRequest)) if name[0] != "_"}
    return sorted(n for n in names if not callable(getattr(HttpRequest, n, None)))


@pytest.mark.parametrize(
    "name",
    [
        *(n for n in attributes_of_django() if n not in ("environ", "upload_handlers")),
        *("app", "auth", "client", "htmx", "id", "query_params", "state", "url"),
    ],
)
def test_each_attribute_can_be_assigned(name: str) -> None:
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    setattr(request, name, "assigned")
    assert getattr(request, name) == "assigned"


class Rewriting:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            request = Request.of(scope, receive, send)
            request.method = "DELETE"
            request.path_info = "/albums/"  # type: ignore[misc]
        await self.app(scope, receive, send)


async def test_middleware_can_lead_to_another_view() -> None:
    def view(request: Request) -> Response:
        return PlainTextResponse(f"{request.method} {request.path}")

    middleware = [f"{__name__}.Rewriting"]
    async with serving(path("albums/", view), MIDDLEWARE=middleware) as http:
        assert (await http.post("/old/")).text == "DELETE /old/"


def test_what_nobody_has_set_is_an_attribute_error() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    assert not hasattr(request, "auth")
    assert not hasattr(request, "htmx")


class AlbumConverter:
    regex = "[0-9]+"

    async def to_python(self, value: str) -> Any:
        return value

    def to_url(self, value: Any) -> str:
        return str(value)


async def test_an_async_path_converter_is_refused() -> None:
    async def view(request: Request, album: Any) -> Response:
        raise AssertionError("called with a coroutine")

    if "async_album" not in get_converters():
        register_converter(AlbumConverter, "async_album")
    async with serving(path("<async_album:album>/", view), raising=True) as http:
        with pytest.raises(TypeError, match=r"'album' .* returned a coroutine"):
            await http.get("/5/")


class Missing:
    regex = "[a-z]+"

    def to_python(self, value: str) -> str:
        raise Http404(f"There is no {value}.")

    def to_url(self, value: str) -> str:
        return value


def naming_the_view(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        name = str(request.resolver_match)
        response = get_response(request)
        response.headers["X-View"] = name
        return response

    return middleware


async def test_a_path_converter_may_say_that_there_is_no_page() -> None:
    if "missing" not in get_converters():
        register_converter(Missing, "missing")
    middleware = [f"{__name__}.naming_the_view"]
    url = path("<missing:name>/", plain_body)
    async with serving(url, DEBUG=True, MIDDLEWARE=middleware) as page:
        response = await page.get("/genres/")
    assert (response.status_code, response.headers["X-View"]) == (404, "None")
    assert "There is no genres." in response.text


async def test_a_nonce_of_a_package_may_read_the_one_of_django() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    ours = request._csp_nonce

    def nonce() -> Any:
        return getattr(request, "_csp_nonce", None) or "own"

    # As django-csp does it.
    request.csp_nonce = SimpleLazyObject(nonce)
    assert str(request.csp_nonce) == str(ours or "own")
