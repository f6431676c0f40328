"""Headers and cookies with text of any language."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from collections.abc import Callable
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.http import HttpResponse
from starlette.exceptions import HTTPException

from tests.web.serving import serving, serving_on_a_socket
from vinyl.web import (
    EventSourceResponse,
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    path,
    redirect,
)

pytestmark = pytest.mark.anyio

TEXTS = [
    "plain",
    "caf\xe9",
    "żółw",
    "日本語",
    "a “quoted” word",
    "\U0001f3b5",
    "é and ż",
]


def set_item(text: str) -> Response:
    response = Response()
    response["X-Text"] = text
    return response


def set_default(text: str) -> Response:
    response = Response()
    response.setdefault("X-Text", text)
    return response


def appended(text: str) -> Response:
    response = Response()
    response.headers.append("X-Text", text)
    return response


def updated(text: str) -> Response:
    response = Response()
    response.headers.update({"X-Text": text})
    return response


def merged(text: str) -> Response:
    response = Response()
    headers = response.headers
    headers |= {"X-Text": text}
    assert (response.headers | {"X-Other": text})["X-Other"] == headers["X-Text"]
    return response


async def nothing() -> Any:
    yield ""


SETTERS: dict[str, Callable[[str], Any]] = {
    "response": lambda text: Response(headers={"X-Text": text}),
    "html": lambda text: HTMLResponse("", headers={"X-Text": text}),
    "text": lambda text: PlainTextResponse("", headers={"X-Text": text}),
    "json": lambda text: JSONResponse({}, headers={"X-Text": text}),
    "redirect": lambda text: RedirectResponse("/", headers={"X-Text": text}),
    "file": lambda text: FileResponse(__file__, headers={"X-Text": text}),
    "stream": lambda text: StreamingResponse(nothing(), headers={"X-Text": text}),
    "events": lambda text: EventSourceResponse(nothing(), headers={"X-Text": text}),
    "item": set_item,
    "default": set_default,
    "append": appended,
    "update": updated,
    "merge": merged,
    "django": lambda text: HttpResponse(headers={"X-Text": text}),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("make", SETTERS.values(), ids=SETTERS)
async def test_headers_are_sent_as_django_sends_them(
    make: Callable[[str], Any], text: str
) -> None:
    async def view(request: Request) -> Any:
        return make(text)

    async with serving(path("", view), raising=True) as http:
        response = await http.get("/")
    sent = dict(response.headers.raw)[b"x-text"]
    assert sent == HttpResponse(headers={"X-Text": text})["X-Text"].encode("latin-1")
    if sent.isascii():
        assert str(make_header(decode_header(sent.decode()))) == text


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json"])
async def test_headers_of_errors(kind: str) -> None:
    async def view(request: Request) -> Any:
        raise HTTPException(429, headers={"X-Text": "żółw", "Retry-After": "5"})

    async with serving(path("", view)) as http:
        response = await http.get("/", headers={"accept": kind})
    assert (response.status_code, response.headers["retry-after"]) == (429, "5")
    assert response.headers["x-text"].startswith("=?utf-8?")


@pytest.mark.parametrize("text", TEXTS)
async def test_addresses_are_percent_encoded(text: str) -> None:
    async def view(request: Request) -> Any:
        match request.GET["how"]:
            case "redirect":
                return redirect(f"/{text}/")
            case "class":
                return RedirectResponse(f"/{text}/")
            case "header":
                return Response(status_code=302, headers={"Location": f"/{text}/"})

    async with serving(path("", view)) as http:
        for how in ("redirect", "class", "header"):
            response = await http.get("/", params={"how": how})
            location = response.headers["location"]
            assert location.isascii()
            assert unquote(location) == f"/{text}/"


async def test_names_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")

    async def view(request: Request) -> Any:
        return FileResponse(tmp_path / "a", filename="żółw.txt")

    async with serving(path("", view)) as http:
        disposition = (await http.get("/")).headers["content-disposition"]
    assert disposition == "attachment; filename*=utf-8''%C5%BC%C3%B3%C5%82w.txt"


async def test_several_headers_of_one_name_stay() -> None:
    response = Response(headers=Response(headers={"x-a": "1"}).headers)
    assert response.headers["x-a"] == "1"
    response.headers.append("x-a", "ż")
    again = Response(headers=response.headers)
    assert len(again.headers.getlist("x-a")) == 2


async def test_through_uvicorn() -> None:
    async def view(request: Request) -> Any:
        response = JSONResponse(request.cookies, headers={"X-Text": "żółw"})
        response.set_cookie("a", "日本")
        return response

    async with serving_on_a_socket(path("", view)) as http:
        sent = {b"cookie": "a=żółw".encode()}
        response = await http.get("/", headers=sent)
        assert response.json() == {"a": "żółw"}
        assert dict(response.headers.raw)[b"set-cookie"].startswith('a="日本"'.encode())


async def test_a_line_break_is_refused() -> None:
    """Whatever the text is, no header brings others with it."""

    async def view(request: Request) -> Any:
        return Response(headers={"X-Text": "ż\r\nX-Other: 1"})

    async with serving(path("", view)) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "x-other" not in response.headers


# ----- Line breaks


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
    async def unauthorized(request: Request) -> Response:
        raise HTTPException(401, headers={"WWW-Authenticate": "a\r\nset-cookie: b=c"})

    async with serving(path("", unauthorized)) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "www-authenticate" not in response.headers
    middleware = [f"{__name__}.Injecting"]
    async with serving(MIDDLEWARE=middleware) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "x-name" not in response.headers


async def test_nor_does_one_of_the_page_for_errors() -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError

    class Site:
        urlpatterns = [path("", broken)]

        @staticmethod
        def handler500(request: Request) -> Response:
            response = Response("sorry", 500)
            response.raw_headers.append((b"x-name", b"a\r\nset-cookie: b=c"))
            return response

    async with serving(ROOT_URLCONF=Site) as http:
        response = await http.get("/")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
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
