"""Forms are read as Django reads them: both are given the same odd bodies."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import AsyncIterator
from encodings.aliases import aliases
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.conf import global_settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.core.handlers.exception import response_for_exception
from django.core.handlers.wsgi import WSGIRequest
from django.http import QueryDict
from django.http.multipartparser import MultiPartParserError
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData, Headers, UploadFile

from tests.web.http.odd_bodies import BODIES, MULTIPART, URLENCODED, field, file, parts
from tests.web.serving import serving
from vinyl.web import JSONResponse, PlainTextResponse, Request, in_thread, path
from vinyl.web.http.parsers import submitted
from vinyl.web.testing import Client

pytestmark = pytest.mark.anyio

NO_END = "Django takes what is there of a form whose last boundary is missing."
NO_TEXT = "Django fails with 500: the codec makes no text of bytes, or not always."
ESCAPES = "Django decodes Python's escapes, and names of hosts, which are no charsets."
TOO_LONG = "Django answers 400; vinyl says with 413 what is wrong."
UNCAUGHT = "Django fails with 500: it raises before its handler can answer."

# Where vinyl differs: its status, and why.
DIFFERENCES = {
    "no parts": (400, NO_END),
    "another boundary": (400, NO_END),
    "two boundaries": (400, NO_END),
    "cut off after a part": (400, NO_END),
    "cut off in a field": (400, NO_END),
    "cut off in the last boundary": (400, NO_END),
    "cut off in a file": (400, NO_END),
    "a form in rot13": (400, NO_TEXT),
    "a form in base64": (400, NO_TEXT),
    "a form in idna": (400, NO_TEXT),
    "a form in punycode": (400, ESCAPES),
    "a form in escapes": (400, ESCAPES),
    "charset with a NUL": (400, UNCAUGHT),
    "a form in a charset with a NUL": (400, UNCAUGHT),
    "unknown charset of a parameter": (400, UNCAUGHT),
    "too long": (413, TOO_LONG),
    "a field that is too long": (413, TOO_LONG),
    "fields that are too long together": (413, TOO_LONG),
}


def described(request: Any) -> dict[str, Any]:
    """The form of *request*, Django's or vinyl's."""
    return {
        "fields": dict(request.POST.lists()),
        "files": {
            name: [described_file(file) for file in files]
            for name, files in request.FILES.lists()
        },
    }


def described_file(file: UploadedFile[Any]) -> dict[str, Any]:
    extra = file.content_type_extra or {}
    return {
        "name": file.name,
        "type": file.content_type,
        "charset": None if file.charset is None else repr(file.charset),
        "extra": {name: repr(value) for name, value in extra.items()},
        "size": file.size,
        "content": file.read().hex(),
    }


def by_django(kind: bytes, body: bytes) -> tuple[int, Any]:
    """The status and the form that Django makes of *body*."""
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": kind.decode("latin-1"),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
    }
    try:
        request = WSGIRequest(environ)
    except UnicodeDecodeError:
        return 400, None
    except Exception:
        return 500, None
    try:
        return 200, described(request)
    except Exception as error:
        with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=False):
            return response_for_exception(request, error).status_code, None
    finally:
        request.close()


def plain(request: Request) -> Any:
    return JSONResponse(described(request))


async def asynchronous(request: Request) -> Any:
    await request.form()
    return JSONResponse(described(request))


@pytest.fixture(scope="module", params=[plain, asynchronous], ids=["plain", "async"])
async def http(request: Any) -> AsyncIterator[Client]:
    async with serving(path("", request.param)) as client:
        yield client


@pytest.mark.parametrize("name", BODIES)
async def test_a_form_is_what_it_is_for_django(name: str, http: Client) -> None:
    kind, body = BODIES[name]
    headers = {b"content-type": kind} if kind else {}
    response = await http.post("/", content=body, headers=headers)
    found = response.status_code, response.json() if response.is_success else None
    expected = by_django(kind, body)
    if name in DIFFERENCES:
        status, _ = DIFFERENCES[name]
        assert found == (status, None)
        assert expected[0] != status
    else:
        assert found == expected


CHARSETS = st.sampled_from(sorted(set(aliases.values()))) | st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
)


@given(charset=CHARSETS, content=st.binary(max_size=50), multipart=st.booleans())
async def test_no_charset_of_a_client_is_an_error_of_the_sites(
    charset: str, content: bytes, multipart: bool
) -> None:
    kind = MULTIPART if multipart else URLENCODED
    kind += b"; charset=" + charset.encode("latin-1")
    body = parts(field(content)) if multipart else b"a=" + content
    async with serving(path("", plain)) as http:
        response = await http.post(
            "/", content=body, headers={b"content-type": kind.strip()}
        )
    assert response.status_code in (200, 400)


async def test_a_form_of_unknown_length() -> None:
    """Django's parser takes a form that announces no length for an empty one."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"--X\r\n"
        yield field(b"hello") + b"\r\n--X--"

    async with serving(path("", plain)) as http:
        response = await http.post(
            "/", content=pieces(), headers={b"content-type": MULTIPART}
        )
    assert response.json()["fields"] == {"a": ["hello"]}


# ----- Uploads


class Noting(FileUploadHandler):
    """A handler of the project's, which may block."""

    threads: ClassVar[list[bool]] = []

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        assert isinstance(self.request, Request)
        self.threads.append(threading.current_thread() is threading.main_thread())
        return raw_data.upper()

    def file_complete(self, file_size: int) -> None:
        pass


class Refusing(FileUploadHandler):
    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        raise StopUpload(connection_reset=True)

    def file_complete(self, file_size: int) -> None:
        raise AssertionError


def kinds_of_files(request: Request) -> Any:
    kinds = [type(file).__name__ for file in request.FILES.values()]
    folders = [
        str(Path(file.temporary_file_path()).parent)
        for file in request.FILES.values()
        if isinstance(file, TemporaryUploadedFile)
    ]
    contents = [file.read().decode() for file in request.FILES.values()]
    return JSONResponse([kinds, folders, contents])


async def kinds_of_files_async(request: Request) -> Any:
    await request.form()
    return kinds_of_files(request)


UPLOAD = {"f": ("f.txt", b"content")}
VIEWS = [kinds_of_files, kinds_of_files_async, in_thread(kinds_of_files)]


@pytest.mark.parametrize("view", VIEWS)
async def test_uploads_are_where_the_settings_say(view: Any, tmp_path: Path) -> None:
    handler = "django.core.files.uploadhandler.TemporaryFileUploadHandler"
    options: Any = {"FILE_UPLOAD_TEMP_DIR": str(tmp_path)}
    async with serving(path("", view), **options) as http:
        response = await http.post("/", files=UPLOAD)
        assert response.json() == [["InMemoryUploadedFile"], [], ["content"]]
        big = {"f": ("f.txt", b"x" * 2_700_000)}
        kinds, folders, _ = (await http.post("/", files=big)).json()
        assert (kinds, folders) == (["TemporaryUploadedFile"], [str(tmp_path)])
    async with serving(
        path("", view), FILE_UPLOAD_MAX_MEMORY_SIZE=3, **options
    ) as http:
        kinds, folders, _ = (await http.post("/", files=UPLOAD)).json()
        assert (kinds, folders) == (["TemporaryUploadedFile"], [str(tmp_path)])
    async with serving(path("", view), FILE_UPLOAD_HANDLERS=[handler]) as http:
        kinds, _, contents = (await http.post("/", files=UPLOAD)).json()
        assert (kinds, contents) == (["TemporaryUploadedFile"], ["content"])
    # All of them are deleted with the request.
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("view", VIEWS)
async def test_an_upload_handler_of_the_projects_runs_in_a_thread(view: Any) -> None:
    Noting.threads.clear()
    handlers = [f"{__name__}.Noting", *global_settings.FILE_UPLOAD_HANDLERS]
    async with serving(path("", view), FILE_UPLOAD_HANDLERS=handlers) as http:
        response = await http.post("/", files=UPLOAD)
    assert response.json() == [["InMemoryUploadedFile"], [], ["CONTENT"]]
    assert Noting.threads == [False]


async def test_an_upload_handler_may_stop() -> None:
    handlers = [f"{__name__}.Refusing"]
    async with serving(path("", plain), FILE_UPLOAD_HANDLERS=handlers) as http:
        response = await http.post("/", files=UPLOAD, data={"a": "hello"})
    assert response.json() == {"fields": {"a": ["hello"]}, "files": {}}


async def test_a_view_has_upload_handlers_of_its_own() -> None:
    async def view(request: Request) -> Any:
        request.upload_handlers.insert(0, Noting(request))
        form = await request.form()
        with pytest.raises(AttributeError, match="after the upload"):
            request.upload_handlers = []
        return PlainTextResponse(await form["f"].read())

    async with serving(path("", view)) as http:
        assert (await http.post("/", files=UPLOAD)).text == "CONTENT"


async def test_the_form_is_starlettes() -> None:
    seen: list[Any] = []

    async def view(request: Request) -> Any:
        async with request.form() as form:
            seen.append(form)
            upload = form["f"]
            assert isinstance(form, FormData)
            assert isinstance(upload, UploadFile)
            assert (upload.filename, upload.size) == ("f.txt", 7)
            assert upload.content_type == "text/plain; charset=utf-8"
            assert await upload.read() == b"content"
            await upload.seek(3)
            assert upload.file.read() == b"tent"
            assert form.getlist("a") == ["1", "2"]
            assert await request.form() is form
        assert upload.file.closed
        return PlainTextResponse("")

    upload = {"f": ("../f.txt", b"content", "text/plain; charset=utf-8")}
    async with serving(path("", view), raising=True) as http:
        await http.post("/", files=upload, data={"a": ["1", "2"]})
    assert seen


async def test_several_tasks_read_the_form_at_once() -> None:
    async def view(request: Request) -> Any:
        forms = await asyncio.gather(*[request.form() for _ in range(3)])
        assert len({id(form["f"].file) for form in forms}) == 1
        return PlainTextResponse(await forms[0]["f"].read())

    big = {"f": ("f.txt", b"x" * 100_000)}
    async with serving(path("", view)) as http:
        assert len((await http.post("/", files=big)).text) == 100_000


async def test_limits_are_djangos() -> None:
    async def view(request: Request) -> Any:
        with pytest.raises(TypeError, match="DATA_UPLOAD_MAX_NUMBER_FIELDS"):
            await request.form(max_fields=5)
        return PlainTextResponse("")

    async with serving(path("", view)) as http:
        assert (await http.post("/")).status_code == 200


async def test_another_encoding_reads_the_form_anew() -> None:
    async def view(request: Request) -> Any:
        before = (await request.form())["a"]
        request.encoding = "latin-1"
        return JSONResponse([before, (await request.form())["a"], request.POST["a"]])

    def plain_view(request: Request) -> Any:
        before = request.POST["a"]
        request.encoding = "latin-1"
        return JSONResponse([before, request.POST["a"], request.GET["q"]])

    headers = {b"content-type": MULTIPART}
    body = parts(field(b"\xe9"))
    async with serving(path("", view), path("plain/", plain_view)) as http:
        response = await http.post("/", content=body, headers=headers)
        assert response.json() == ["\ufffd", "é", "é"]
        response = await http.post("/plain/?q=%E9", content=body, headers=headers)
        assert response.json() == ["\ufffd", "é", "é"]


async def test_the_body_is_there_after_the_form() -> None:
    body = parts(field(b"hello"), file(b'filename="f.txt"'))

    async def view(request: Request) -> Any:
        await request.form()
        pieces = [piece async for piece in request.stream()]
        assert b"".join(pieces) == await request.body() == body
        return PlainTextResponse("")

    async with serving(path("", view), raising=True) as http:
        await http.post("/", content=body, headers={b"content-type": MULTIPART})


def test_a_form_of_other_files() -> None:
    """Those of a `FormData` that is not vinyl's."""
    upload = UploadFile(
        io.BytesIO(b"content"), size=7, filename="a/f.txt", headers=Headers({})
    )
    nameless = UploadFile(io.BytesIO(), size=0, filename="")
    data, files = submitted(FormData([("a", "1"), ("f", upload), ("f", nameless)]))
    assert isinstance(data, QueryDict)
    assert data["a"] == "1"
    [found] = files.getlist("f")
    assert (found.name, found.size, found.read()) == ("f.txt", 7, b"content")


async def test_a_malformed_form_is_an_error_of_djangos_parser_too() -> None:
    async def view(request: Request) -> Any:
        with pytest.raises(MultiPartParserError, match="last boundary"):
            await request.form()
        return JSONResponse("caught")

    async with serving(path("", view)) as client:
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        response = await client.post("/", content=b"--x\r\n", headers=kind)
    assert response.json() == "caught"
