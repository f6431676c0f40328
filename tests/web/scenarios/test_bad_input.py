"""
Bad input gets the right status and one line in the log, and tells strangers nothing.

The bytes go through TCP and uvicorn, for httpx would not send them.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc, union-attr"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core.exceptions import DisallowedRedirect

from tests.records.models import Artist
from tests.web.serving import serving, serving_on_a_socket
from vinyl.orm import run
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Request,
    path,
)

pytestmark = pytest.mark.anyio

MIDDLEWARE = [
    "vinyl.web.security.SecurityMiddleware",
    "vinyl.web.csrf.CSRFMiddleware",
]
HEADERS = b"Host: 127.0.0.1\r\nConnection: close\r\n"
FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=X"
PART = b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n'
END = b"--X--\r\n"
FILE = b'Content-Disposition: form-data; name="f"; filename="f.txt"'


def get(target: bytes, headers: bytes = b"", method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + HEADERS + headers + b"\r\n"


def post(
    body: bytes, kind: bytes, to: bytes = b"/form/", length: int | None = None
) -> bytes:
    size = str(len(body) if length is None else length).encode()
    headers = b"Content-Type: " + kind + b"\r\nContent-Length: " + size + b"\r\n"
    return get(to, headers, b"POST") + body


def part(head: bytes, content: bytes = b"hello") -> bytes:
    return b"--X\r\n" + head + b"\r\n\r\n" + content + b"\r\n" + END


async def echo(request: Request, s: Any = "") -> Any:
    return JSONResponse({"s": s, "q": request.GET.get("q"), "c": request.COOKIES})


def submitted(request: Request) -> Any:
    files = [f.name for f in request.FILES.values()]
    return JSONResponse({"fields": dict(request.POST.items()), "files": files})


async def loaded(request: Request) -> Any:
    return JSONResponse(await request.json())


PATTERNS = (
    path("", echo),
    path("s/<str:s>/", echo),
    path("i/<int:s>/", echo),
    path("form/", submitted),
    path("json/", loaded),
)

# What is sent, the status, and what the log says, or a part of the answer for a 200.
# An empty text: uvicorn has refused it before it reached us.
CASES: dict[str, tuple[bytes, int, str]] = {
    "no UTF-8 in the path": (get(b"/s/%ff/"), 200, '"s":"\ufffd"'),
    "raw bytes in the path": (get(b"/s/\xff/"), 400, ""),
    "a NUL in the path": (get(b"/s/a%00b/"), 400, "contains a NUL"),
    "no percent-encoding": (get(b"/s/%zz/?q=%zz%1"), 200, '"q":"%zz%1"'),
    "no UTF-8 in the query": (get(b"/?q=%ff"), 200, '"q":"\ufffd"'),
    "raw bytes in the query": (get(b"/?q=\xff"), 400, ""),
    "too many parameters": (get(b"/?" + b"&".join([b"q=1"] * 3000)), 400, "exceeded"),
    "a huge integer": (get(b"/i/" + b"9" * 5000 + b"/"), 404, "Not Found"),
    "a long path": (get(b"/none/" + b"x" * 50000), 404, "Not Found"),
    "an absolute target": (get(b"http://127.0.0.1/?q=1"), 200, '"q":"1"'),
    "the server as target": (get(b"*", method=b"OPTIONS"), 404, "OPTIONS *"),
    "a tunnel": (get(b"evil.test:443", method=b"CONNECT"), 400, ""),
    "an unknown method": (get(b"/", method=b"FROB"), 400, ""),
    "no HTTP": (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, ""),
    "no host": (b"GET / HTTP/1.0\r\n\r\n", 200, '"q":null'),
    "two hosts": (get(b"/", b"Host: evil.test\r\n"), 400, "'127.0.0.1, evil.test'"),
    "a control character in a header": (get(b"/", b"X-A: \x01\r\n"), 400, ""),
    "a NUL in a header": (get(b"/", b"X-A: a\0b\r\n"), 400, ""),
    "bad cookies": (
        get(b"/", b'Cookie: =; a; b=\xff"; b=2; ;;; c="\\101\r\n'),
        200,
        '"b":"2"',
    ),
    "a huge cookie": (get(b"/", b"Cookie: c=" + b"x" * 50000 + b"\r\n"), 200, "xxx"),
    "a negative length": (get(b"/", b"Content-Length: -5\r\n", b"POST"), 400, ""),
    "two lengths": (
        get(b"/", b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"POST"),
        400,
        "",
    ),
    "a form with broken encoding": (post(b"a=%ff&%zz=%", FORM), 200, '"%zz":"%"'),
    "too many fields": (
        post(b"&".join([b"a=1"] * 3000), FORM),
        400,
        "GET/POST parameters exceeded",
    ),
    "an unknown charset": (post(b"a=b", FORM + b"; charset=rubbish"), 200, '"a":"b"'),
    "a broken content type": (post(b"a=b", b";;;\xff"), 200, '"fields":{}'),
    "no boundary": (post(PART + END, b"multipart/form-data"), 400, "Invalid boundary"),
    "an empty boundary": (post(PART + END, b"multipart/form-data; boundary="), 400, ""),
    "another boundary": (
        post(PART + END, b'multipart/form-data; boundary="\xff"'),
        400,
        "Invalid non-ASCII Content-Type",
    ),
    "a multipart form": (post(PART + END, MULTIPART), 200, '"a":"hello"'),
    "a form that is cut off": (post(PART, MULTIPART), 400, "before its last boundary"),
    "a length that is too small": (
        post(PART + END, MULTIPART, length=30),
        400,
        "before its last boundary",
    ),
    # Not after all of it has come.
    "a length that is too large": (
        post(PART, MULTIPART, length=2**40),
        413,
        "longer than the 104,857,600 bytes",
    ),
    "a large file that is cut off": (
        post(PART + part(FILE, b"x" * 2**21).removesuffix(b"\r\n" + END), MULTIPART),
        400,
        "before its last boundary",
    ),
    "no multipart form": (post(b"garbage", MULTIPART), 400, "before its last boundary"),
    "too many parts": (
        post(PART * 2000 + END, MULTIPART),
        400,
        "GET/POST parameters exceeded",
    ),
    "a part without a name": (
        post(part(b"Content-Disposition: form-data"), MULTIPART),
        200,
        '"fields":{}',
    ),
    "a part with a huge header": (
        post(part(b"X-A: " + b"x" * 20_000), MULTIPART),
        400,
        "header size exceeded",
    ),
    "a charset that is none": (
        post(PART + END, MULTIPART + b"; charset=base64"),
        400,
        "the charset 'base64', which is unknown",
    ),
    "a charset with a NUL": (
        post(PART + END, MULTIPART + b"; charset*=utf-8''utf-8%00"),
        400,
        "null character",
    ),
    "a part that is no UTF-8": (
        post(part(b'Content-Disposition: form-data; name="a"', b"\xff"), MULTIPART),
        200,
        '"a":"\ufffd"',
    ),
    "a file name that leads elsewhere": (
        post(
            part(
                b'Content-Disposition: form-data; name="f"; '
                b'filename="../../\0a\x07.gif"'
            ),
            MULTIPART,
        ),
        200,
        '"files":["a.gif"]',
    ),
    "a file name that is a folder": (
        post(
            part(b'Content-Disposition: form-data; name="f"; filename=".."'), MULTIPART
        ),
        200,
        '"files":[]',
    ),
    "broken JSON": (post(b"{", b"application/json", b"/json/"), 400, "double quotes"),
    "JSON that is no text": (
        post(b"\xff\xfe\xfa", b"application/json", b"/json/"),
        400,
        "decode",
    ),
    "deep JSON": (post(b"[" * 100_000, b"application/json", b"/json/"), 400, "recursi"),
    "half a character": (
        post(b'"\\ud800"', b"application/json", b"/json/"),
        400,
        "surrogates",
    ),
    "a whole one": (
        post(b'"\\ud83d\\ude00"', b"application/json", b"/json/"),
        200,
        "\U0001f600",
    ),
    "no number": (
        post(b"NaN", b"application/json", b"/json/"),
        400,
        "not a JSON value",
    ),
    "a huge number": (
        post(b"9" * 9999, b"application/json", b"/json/"),
        400,
        "Exceeds the limit",
    ),
    "an origin that is none": (
        get(b"/", b"Origin: http://[bad\r\n", b"POST"),
        403,
        "it was sent by a page of 'http://[bad'",
    ),
}


@pytest.fixture(params=[False, True], ids=["production", "debug"])
async def address(request: Any) -> AsyncIterator[tuple[str, int]]:
    async with serving_on_a_socket(
        *PATTERNS, MIDDLEWARE=MIDDLEWARE, DEBUG=request.param
    ) as http:
        yield http.base_url.host, http.base_url.port


async def sent(address: tuple[str, int], data: bytes) -> tuple[int, str]:
    """The status and the body that the server answers to *data*."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    try:
        answer = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), answer
    return int(head.split()[1]), body.decode()


def problem(
    name: str, status: int, body: str, lines: list[logging.LogRecord]
) -> str | None:
    """What is wrong with the answer to the case called *name*."""
    _, expected, told = CASES[name]
    messages = [line.getMessage() for line in lines]
    fine = status == expected
    if status == 200:
        fine = fine and told in body and not lines
    elif told:
        # One line, that nothing in the request can break into two.
        fine = fine and len(lines) == 1 and told in messages[0]
        fine = fine and messages[0].isprintable() and len(messages[0]) < 1000
        fine = fine and lines[0].exc_info is None
    return None if fine else f"{name}: {status} {body[:200]!r} {messages}"


async def test_bad_input(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    # One server for all: it has to survive each of them, too.
    problems = []
    for name, (data, _, _) in CASES.items():
        caplog.clear()
        status, body = await sent(address, data)
        lines = [
            record
            for record in caplog.records
            if record.levelno >= logging.WARNING and record.name != "asyncio"
        ]
        problems.append(problem(name, status, body, lines))
    assert [p for p in problems if p] == []


async def test_the_connection_goes_on_after_a_refusal(address: tuple[str, int]) -> None:
    keep = HEADERS.replace(b"close", b"keep-alive")
    refused = post(b"{", b"application/json", b"/json/").replace(HEADERS, keep)
    _, answers = await sent(address, refused + get(b"/?q=next"))
    assert "HTTP/1.1 200 OK" in answers
    assert '"q":"next"' in answers


# ----- What reaches the database


class ArtistForm(forms.ModelForm):
    class Meta:
        model = Artist
        fields = ("name",)


async def by_query(request: Request) -> Any:
    found = await Artist.objects.filter(name=request.GET["q"]).count()
    return PlainTextResponse(str(found))


async def by_form(request: Request) -> Any:
    form = await request.form()
    await Artist.objects.create(name=form["name"])
    return PlainTextResponse("created")


async def by_json(request: Request) -> Any:
    await Artist.objects.create(name=(await request.json())["name"])
    return PlainTextResponse("created")


async def by_django_form(request: Request) -> Any:
    await request.form()
    form = ArtistForm(request.POST)
    valid = await run(form.is_valid)
    return PlainTextResponse(str(form.errors), 200 if valid else 422)


async def of_the_sites(request: Request) -> Any:
    await Artist.objects.create(name="d\0")
    return PlainTextResponse("created")


@pytest.mark.usefixtures("db")
async def test_a_nul_is_no_error_of_the_sites(
    db: str, caplog: pytest.LogCaptureFixture
) -> None:
    postgresql = db == "postgresql"
    patterns = (
        path("query/", by_query),
        path("form/", by_form),
        path("json/", by_json),
        path("django/", by_django_form),
        path("own/", of_the_sites),
    )
    # SQLite stores it.
    expected = 400 if postgresql else 200
    async with serving(*patterns) as http:
        assert (await http.get("/query/?q=a%00b")).status_code == expected
        for response in (
            await http.post("/form/", data={"name": "a\0b"}),
            await http.post("/form/", data={"name": "b\0"}, files={"f": b""}),
            await http.post("/json/", json={"name": "c\0"}),
        ):
            assert response.status_code == expected
        told = await http.post("/django/", data={"name": "a\0b"})
        assert told.status_code == 422
        assert "Null characters are not allowed" in told.text
        # This one is.
        own = await http.get("/own/")
        assert own.status_code == (500 if postgresql else 200)
    assert len(await Artist.objects.all()) == (0 if postgresql else 4)
    refused = [r for r in caplog.records if "NUL" in r.getMessage()]
    assert len(refused) == (4 if postgresql else 0)


async def test_half_a_character_in_an_answer_is_escaped() -> None:
    async def view(request: Request) -> Any:
        return JSONResponse({"half": "\ud800", "é": "ü"})

    async with serving(path("", view)) as http:
        response = await http.get("/")
    assert json.loads(response.content) == {"half": "\ud800", "é": "ü"}


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "http://[bad"]
)
def test_nobody_is_redirected_to_code(target: str) -> None:
    with pytest.raises(DisallowedRedirect):
        RedirectResponse(target)


@pytest.mark.parametrize("target", ["/x", "https://a.test/", "?q=1", "//a.test", "x:y"])
def test_other_redirects(target: str) -> None:
    if target == "x:y":
        with pytest.raises(DisallowedRedirect, match="'x'"):
            RedirectResponse(target)
    else:
        assert RedirectResponse(target).headers["location"] == target


@pytest.mark.parametrize(
    "target",
    [
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/static/..%5csettings.py",
        "/static/%2fetc/passwd",
        "/static//etc/passwd",
        "/static/%00",
        "/static/" + "x" * 5000,
        "/static/",
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_static_files_lead_nowhere_else(target: str, tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "settings.py").write_text("SECRET")
    settings = {"DEBUG": True, "STATICFILES_DIRS": [tmp_path / "static"]}
    async with serving(**settings) as http:
        response = await http.get(target)
    assert response.status_code in (400, 404)
    assert "root:" not in response.text
    assert "SECRET\n" not in response.text
