"""What a request reads of headers, query and body."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import BadRequest

from tests.web.serving import serving
from vinyl.exceptions import NotAwaitedError
from vinyl.web import JSONResponse, PlainTextResponse, path
from vinyl.web.http.requests import Request

pytestmark = pytest.mark.anyio


class Looking:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            assert Request.of(scope, receive, send).method == "POST"
        await self.app(scope, receive, send)


async def test_a_form_is_in_POST_only_if_it_was_posted() -> None:
    def view(request: Any) -> Any:
        return JSONResponse([dict(request.POST), request.form()["title"]])

    async with serving(path("", view)) as page:
        put = await page.put("/", data={"title": "Pastel Blues"})
        assert put.json() == [{}, "Pastel Blues"]


async def test_what_is_too_long_is_answered_with_413() -> None:
    async def body(request: Any) -> Any:
        return PlainTextResponse(str(len(await request.body())))

    async def form(request: Any) -> Any:
        return PlainTextResponse(str(len(await request.form())))

    async def pieces() -> Any:
        for _ in range(30):
            yield b"x" * 10

    urls = path("body/", body), path("form/", form)
    form_type = {"content-type": "application/x-www-form-urlencoded"}
    async with serving(*urls, DATA_UPLOAD_MAX_MEMORY_SIZE=100) as page:
        assert (await page.post("/body/", content=b"x" * 100)).text == "100"
        assert (await page.post("/body/", content=b"x" * 101)).status_code == 413
        # Told by no header how long it will be.
        assert (await page.post("/body/", content=pieces())).status_code == 413
    async with serving(*urls, VINYL={"MAX_BODY_SIZE": 200}) as page:
        assert (await page.post("/body/", content=b"x" * 201)).status_code == 413
        response = await page.post("/form/", content=pieces(), headers=form_type)
        assert response.status_code == 413
        files = {"f": ("f", b"x" * 200)}
        assert (await page.post("/form/", files=files)).status_code == 413


async def test_malformed_json_is_answered_with_400() -> None:
    async def view(request: Any) -> Any:
        return JSONResponse(await request.json())

    async with serving(path("", view)) as page:
        for content in [b"{", b"", b"\xff", b"[" * 100_000]:
            assert (await page.post("/", content=content)).status_code == 400
        assert (await page.post("/", content=b"[1]")).json() == [1]


async def test_a_query_string_that_is_no_text_is_answered_with_400() -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"q=\xff",
        "headers": [],
    }
    with pytest.raises(BadRequest, match="UTF-8"):
        Request(scope).GET  # noqa: B018


class Shouting:
    """Changes the body on its way in, as middleware that decompresses it does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def shout() -> Any:
            message = await receive()
            return {**message, "body": message.get("body", b"").upper()}

        own = {**scope, "own": True} if scope["type"] == "http" else scope
        await self.app(own, shout if scope["type"] == "http" else receive, send)


async def test_a_request_reads_through_the_middleware_around_the_view() -> None:
    async def view(request: Any) -> Any:
        body = await request.body()
        return PlainTextResponse(f"{body.decode()} {request.scope['own']}")

    # The first one has made the request when the second one comes.
    middleware = [f"{__name__}.Looking", f"{__name__}.Shouting"]
    async with serving(path("", view), MIDDLEWARE=middleware) as page:
        assert (await page.post("/", content=b"hello")).text == "HELLO True"


FORM: Any = {"data": {"title": "Pastel Blues"}, "files": {"cover": ("a.png", b"PNG")}}
RAW = {"content-type": "application/octet-stream"}


async def test_djangos_names_work_in_an_async_view_of_a_form() -> None:
    """As in Django: the body has arrived before the view is called."""

    async def view(request: Any) -> Any:
        cover = request.FILES["cover"]
        text = f"{request.POST['title']} {cover.name} {cover.read().decode()}"
        form = await request.form()
        assert form["title"] == request.POST["title"]
        return PlainTextResponse(text)

    async with serving(path("", view)) as page:
        assert (await page.post("/", **FORM)).text == "Pastel Blues a.png PNG"
        plain = await page.post("/", data={"title": "x"})
        assert plain.status_code == 500
        broken = {"content-type": "multipart/form-data; boundary=x"}
        response = await page.post("/", content=b"no parts", headers=broken)
        assert response.status_code == 400


async def test_djangos_names_wait_for_nothing_in_async_middleware() -> None:
    async with serving(
        path("", lambda request: PlainTextResponse("")),
        MIDDLEWARE=[f"{__name__}.AskingTooEarly"],
        raising=True,
    ) as page:
        with pytest.raises(NotAwaitedError, match="has not arrived yet"):
            await page.post("/", **FORM)


class AskingTooEarly:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            Request.of(scope, receive, send).POST["title"]
        await self.app(scope, receive, send)


@pytest.mark.parametrize("limit", [100, 3], ids=["in memory", "on the disk"])
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_the_body_is_a_file(limit: int, is_async: bool) -> None:
    def read(request: Any) -> Any:
        assert request.read(2) == b"ab"
        assert request.readline() == b"c\n"
        assert request.readlines() == [b"def\n", b"g"]
        assert request.read() == b""
        return PlainTextResponse(request.body)

    async def async_view(request: Any) -> Any:
        with pytest.raises(NotAwaitedError, match="before the body"):
            request.read()
        await request.body()
        return read(request)

    view = async_view if is_async else read
    # No other limit: this one is for what is read into memory.
    async with serving(
        path("", view),
        raising=True,
        FILE_UPLOAD_MAX_MEMORY_SIZE=limit,
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    ) as page:
        response = await page.post("/", content=b"abc\ndef\ng", headers=RAW)
        assert response.text == "abc\ndef\ng"


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=B"]
)
async def test_an_empty_form_has_arrived_in_an_async_view(kind: str) -> None:
    async def view(request: Any) -> Any:
        assert not request.POST
        assert not request.FILES
        assert request.body == request.read() == b""
        return PlainTextResponse("empty")

    async with serving(path("", view), raising=True) as page:
        headers = {"content-type": kind, "content-length": "0"}
        assert (await page.post("/", headers=headers)).text == "empty"


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_iterating_over_a_request_gives_the_lines_of_its_body(
    is_async: bool,
) -> None:
    def view(request: Any) -> Any:
        # Starlette's mapping is the scope all the same.
        assert dict(request) == dict(request.scope)
        assert [*request.keys()] == [*request.scope]
        assert ("path", "/") in request.items()
        assert "/" in request.values()
        assert list(request) == [b"abc\n", b"d"]
        return PlainTextResponse("read")

    async def async_view(request: Any) -> Any:
        with pytest.raises(NotAwaitedError, match="before the body"):
            list(request)
        await request.body()
        return view(request)

    async with serving(
        path("", async_view if is_async else view), raising=True
    ) as page:
        assert (await page.post("/", content=b"abc\nd", headers=RAW)).text == "read"


async def test_a_file_longer_than_what_fits_in_memory_is_read() -> None:
    def view(request: Any) -> Any:
        return PlainTextResponse(str(len(request.read())))

    async with serving(path("", view), DATA_UPLOAD_MAX_MEMORY_SIZE=10) as page:
        assert (await page.post("/", content=b"x" * 100, headers=RAW)).text == "100"


def test_a_header_has_underscores_in_templates() -> None:
    headers = [(b"user-agent", b"vinyl")]
    request = Request({"type": "http", "headers": headers})
    assert request.headers["User-Agent"] == request.headers["user_agent"] == "vinyl"
    with pytest.raises(KeyError, match="x_no"):
        request.headers["x_no"]


def test_a_client_cannot_replace_the_header_of_a_proxy() -> None:
    headers = [(b"x_real_ip", b"10.0.0.1"), (b"x-real-ip", b"192.0.2.1")]
    request = Request({"type": "http", "headers": [*headers, (b"own_name", b"x")]})
    assert request.headers["X_Real_IP"] == request.headers["X-Real-IP"] == "192.0.2.1"
    # As in Django: what a proxy does not know may be what a view trusts.
    assert "own_name" not in request.headers
    assert request.headers.keys() == ["x-real-ip"]


def test_values_of_a_header_that_is_sent_twice_are_joined() -> None:
    headers = [(b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"192.0.2.1")]
    headers += [(b"cookie", b"a=1"), (b"cookie", b"b=2")]
    request = Request({"type": "http", "headers": headers})
    # The last address is the one that the proxy has added.
    assert request.headers["X-Forwarded-For"] == "10.0.0.1,192.0.2.1"
    assert request.headers.getlist("X-Forwarded-For") == ["10.0.0.1", "192.0.2.1"]
    assert request.headers["Cookie"] == "a=1; b=2"


async def test_a_plain_view_closes_the_files_of_a_form() -> None:
    def view(request: Request) -> Any:
        upload: Any = request.FILES["cover"]
        request.close()
        return PlainTextResponse(str(upload.closed))

    async def asynchronous(request: Request) -> Any:
        upload: Any = (await request.form())["cover"]
        await request.close()
        return PlainTextResponse(str(upload.file.closed))

    for each in (view, asynchronous):
        async with serving(path("", each)) as page:
            files = {"cover": ("a.txt", b"abc")}
            assert (await page.post("/", files=files)).text == "True"
