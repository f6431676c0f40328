"""Each request has an id and leaves one line in the log, whatever it contains."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, assignment, call-overload, misc"

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from django.core.exceptions import PermissionDenied

from tests.records.models import Artist
from tests.web.serving import serving
from vinyl.web import (
    PlainTextResponse,
    Request,
    Response,
    StreamingResponse,
    get_asgi_application,
    in_thread,
    path,
    re_path,
)
from vinyl.web.access import RequestIDFilter

pytestmark = pytest.mark.anyio

ACCESS = "vinyl.web.access.AccessLogMiddleware"
MIDDLEWARE = {"MIDDLEWARE": [ACCESS]}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """The records of the access log, as they come."""
    caplog.set_level("INFO", "vinyl.access")
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("vinyl.access")
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


async def say_id(request: Request) -> Response:
    assert request.scope["vinyl.request_id"] == request.id
    logging.getLogger("tests").warning("in the view")
    return PlainTextResponse(str(request.id))


async def queries(request: Request) -> Response:
    await Artist.objects.create(name="Nina")
    await asyncio.gather(Artist.objects.count(), Artist.objects.count())
    return PlainTextResponse("counted")


def plain_queries(request: Request) -> Response:
    list(Artist.objects.all())
    return PlainTextResponse("counted")


async def forbidden(request: Request) -> Response:
    raise PermissionDenied


async def fail(request: Request) -> Response:
    raise LookupError


async def breaking(request: Request) -> Response:
    async def content() -> AsyncIterator[str]:
        yield "some"
        raise LookupError

    return StreamingResponse(content())


PATTERNS = (
    path("id/", say_id),
    path("queries/", queries),
    path("plain/", plain_queries),
    path("forbidden/", forbidden),
    path("fail/", fail),
    path("breaking/", breaking),
    re_path("^any/", say_id),
)


class TestID:
    async def test_made_if_none_is_given(self) -> None:
        async with serving(*PATTERNS, **MIDDLEWARE) as http:
            first, second = await http.get("/id/"), await http.get("/id/")
        assert first.text == first.headers["x-request-id"]
        assert len(first.text) == 32
        assert first.text != second.text

    @pytest.mark.parametrize(
        "given",
        ["a", "0a1b-2c3d", "Root=1-67891233-abcdef012345678912345678", "x" * 128],
    )
    async def test_taken_over(self, given: str) -> None:
        async with serving(*PATTERNS, **MIDDLEWARE) as http:
            response = await http.get("/id/", headers={"X-Request-ID": given})
        assert response.text == response.headers["x-request-id"] == given

    @pytest.mark.parametrize(
        "given",
        ["", "x" * 129, "a b", "a\tb", "<script>", '"', "-a", "%0a", "é", "a;b"],
    )
    async def test_not_taken_over(self, given: str) -> None:
        headers = {"X-Request-ID": given.encode()}
        async with serving(*PATTERNS, **MIDDLEWARE) as http:
            response = await http.get("/id/", headers=headers)
        assert response.text == response.headers["x-request-id"]
        assert len(response.text) == 32

    async def test_in_error_pages_of_views_and_of_middleware(self) -> None:
        settings = {
            "MIDDLEWARE": [
                ACCESS,
                "vinyl.web.security.SecurityMiddleware",
                "vinyl.web.csrf.CSRFMiddleware",
            ]
        }
        given = {"X-Request-ID": "A7"}
        cross_site = {"Sec-Fetch-Site": "cross-site", **given}
        async with serving(*PATTERNS, **settings) as http:
            for response, status in [
                (await http.get("/fail/", headers=given), 500),
                (await http.get("/forbidden/", headers=given), 403),
                (await http.get("/none/", headers=given), 404),
                (await http.post("/id/", headers=cross_site), 403),
                (await http.get("/id/", headers={"Host": "evil.test", **given}), 400),
            ]:
                assert response.status_code == status
                assert response.headers["x-request-id"] == "A7"

    async def test_none_without_the_middleware(self) -> None:
        async def view(request: Request) -> Response:
            return PlainTextResponse(str(request.id))

        async with serving(path("", view)) as http:
            response = await http.get("/")
        assert response.text == "None"
        assert "x-request-id" not in response.headers

    async def test_in_the_records_of_every_log(self) -> None:
        logger = logging.getLogger("tests")
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
        handler.addFilter(RequestIDFilter())
        logger.addHandler(handler)

        @in_thread
        def in_a_thread() -> None:
            logger.warning("in a thread")

        async def view(request: Request) -> Response:
            await asyncio.create_task(_log(logger, "in a task"))
            await in_a_thread()
            return Response()

        def plain(request: Request) -> Response:
            logger.warning("in the bridge")
            return Response()

        try:
            async with serving(
                path("", view), path("plain/", plain), **MIDDLEWARE
            ) as http:
                await asyncio.gather(
                    http.get("/", headers={"X-Request-ID": "A7"}),
                    http.get("/plain/", headers={"X-Request-ID": "B8"}),
                )
            logger.warning("outside")
        finally:
            logger.removeHandler(handler)
        assert sorted(stream.getvalue().splitlines()) == [
            "- outside",
            "A7 in a task",
            "A7 in a thread",
            "B8 in the bridge",
        ]


async def _log(logger: logging.Logger, text: str) -> None:
    logger.warning(text)


class TestLines:
    async def test_says_what_happened(self, lines: list[Any]) -> None:
        async with serving(*PATTERNS, **MIDDLEWARE) as http:
            await http.get("/id/?secret=1", headers={"X-Request-ID": "A7"})
        (record,) = lines
        text = record.getMessage()
        assert text.startswith("GET /id/ 200 2 bytes, ")
        assert ", 0 queries in 0.0 ms" in text
        assert "secret" not in text
        assert record.levelname == "INFO"
        assert (record.method, record.path, record.status) == ("GET", "/id/", 200)
        assert (record.size, record.queries, record.client) == (2, 0, "127.0.0.1")
        assert 0 < record.duration < 60

    async def test_counts_queries(self, db: str, lines: list[Any]) -> None:
        async with serving(*PATTERNS, **MIDDLEWARE) as http:
            await asyncio.gather(http.get("/queries/"), http.get("/plain/"))
        counted = {record.path: record for record in lines}
        assert counted["/queries/"].queries == 3
        assert counted["/plain/"].queries == 1
        assert " 1 query in " in counted["/plain/"].getMessage()
        for record in lines:
            assert 0 < record.queries_duration
            assert f"{record.queries_duration * 1000:.1f} ms" in record.getMessage()

    @pytest.mark.parametrize(
        ("url", "status"), [("fail/", 500), ("forbidden/", 403), ("none/", 404)]
    )
    async def test_errors(self, lines: list[Any], url: str, status: int) -> None:
        async with serving(*PATTERNS, **MIDDLEWARE) as http:
            response = await http.get(f"/{url}")
        assert [record.status for record in lines] == [status]
        assert lines[0].size == len(response.content)

    async def test_a_stream_that_breaks(self, lines: list[Any]) -> None:
        async with serving(*PATTERNS, **MIDDLEWARE) as http:
            with pytest.raises(httpx.RemoteProtocolError, match="LookupError"):
                await http.get("/breaking/")
        assert lines[0].getMessage().startswith("GET /breaking/ 200 4 bytes")
        assert lines[0].getMessage().endswith(", interrupted")

    async def test_a_request_that_is_cancelled(self, lines: list[Any]) -> None:
        started = asyncio.Event()

        async def endless(request: Request) -> Response:
            started.set()
            await asyncio.Event().wait()
            return Response()

        async with serving(path("", endless), **MIDDLEWARE) as http:
            asked = asyncio.create_task(http.get("/"))
            await started.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        assert lines[0].getMessage().startswith("GET / - 0 bytes")
        assert lines[0].getMessage().endswith(", cancelled")

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("any/a\nGET /admin/ 200", "any/a%0AGET%20/admin/%20200"),
            ("any/a\r\nforged", "any/a%0D%0Aforged"),
            ("any/\x1b[31mred", "any/%1B%5B31mred"),
            ("any/\u2028line", "any/%E2%80%A8line"),
            ("any/\u202etxt", "any/%E2%80%AEtxt"),
            ("any/% s %(x)s", "any/%25%20s%20%25(x)s"),
            ("any/Björk", "any/Bj%C3%B6rk"),
            ("any/\udcff", "any/%ED%B3%BF"),
            ("any/" + "a" * 5000, "any/" + "a" * 1995 + "%E2%80%A6"),
        ],
        ids=repr,
    )
    async def test_a_path_cannot_forge_a_line(
        self, lines: list[Any], text: str, shown: str
    ) -> None:
        async with serving(*PATTERNS, **MIDDLEWARE):
            # As an ASGI server gives it: decoded.
            await ask(get_asgi_application(), f"/{text}")
        (record,) = lines
        assert record.path == f"/{shown}"
        message = record.getMessage()
        assert message.startswith(f"GET /{shown} ")
        assert message.isprintable()


async def ask(app: Any, path: str) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None: ...

    await app(scope, receive, send)
