"""Cookies with text of any language, read and set."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import parse_cookie

from tests.web.http.test_headers import TEXTS
from tests.web.serving import serving
from vinyl.web import (
    JSONResponse,
    Request,
    Response,
    WebSocket,
    path,
    websocket,
)

pytestmark = pytest.mark.anyio


async def cookies(request: Request) -> Any:
    assert request.cookies == request.COOKIES
    return JSONResponse(request.cookies)


@websocket
async def cookies_of_socket(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_json(connection.cookies)


def setting(request: Request) -> Any:
    response = Response()
    for number, text in enumerate(TEXTS):
        response.set_cookie(f"c{number}", text, max_age=60, path="/żółw")
    response.set_signed_cookie("signed", "żółw")
    return response


async def test_cookies_come_back_as_they_were_set() -> None:
    async with serving(path("set/", setting), path("", cookies)) as http:
        response = await http.get("/set/")
        made = [v for k, v in response.headers.raw if k.lower() == b"set-cookie"]
        assert len(made) == len(TEXTS) + 1
        for line in made[:-1]:
            assert b"Max-Age=60" in line
            assert b"Path=/%C5%BC%C3%B3%C5%82w" in line
            assert b"SameSite=lax" in line
        sent = b"; ".join(line.partition(b";")[0] for line in made)
        found = (await http.get("/", headers={b"cookie": sent})).json()
        assert [found[f"c{number}"] for number in range(len(TEXTS))] == TEXTS
        assert found["signed"].startswith("żółw:")


HEADERS = [
    "a=żółw; b=日本",
    "a=żółw;b=1;",
    'a="quoted ż"; b="\\351"',
    "no-name; =x; a=; a=2",
    "a=1,b=2",
    "a b=c d; [x]=y",
]


@pytest.mark.parametrize("header", HEADERS)
async def test_cookies_are_read_as_django_reads_them(header: str) -> None:
    async with serving(path("", cookies), path("ws/", cookies_of_socket)) as http:
        sent = {b"cookie": header.encode()}
        assert (await http.get("/", headers=sent)).json() == parse_cookie(header)
        async with http.websocket("/ws/", headers=sent) as ws:
            assert await ws.receive_json() == parse_cookie(header)


async def test_cookies_in_several_headers_and_in_no_charset() -> None:
    async with serving(path("", cookies)) as http:
        sent = [
            (b"cookie", b"a=1"),
            (b"cookie", "b=ż".encode()),
            (b"cookie", b"c=\xe9"),
        ]
        found = (await http.get("/", headers=sent)).json()
    assert found == {"a": "1", "b": "ż", "c": "\ufffd"}


async def test_cookies_that_are_changed_keep_what_is_no_latin_1() -> None:
    response = Response()
    response.set_cookie("a", "日本")
    response.set_cookie("b", "1")
    response.cookies["b"]["secure"] = True
    lines = [
        value.decode() for key, value in response.raw_headers if key == b"set-cookie"
    ]
    assert lines[0].startswith('a="日本"; ')
    assert "Secure" in lines[1]
