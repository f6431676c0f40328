"""The development toolbar: which pages get it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from tests.records.models import Artist
from tests.web.serving import serving
from tests.web.toolbar.showing import FAR, PAGE, fetch, html_page, text_of, toolbar
from vinyl.web import (
    HTMLResponse,
    JSONResponse,
    Request,
    Response,
    StreamingResponse,
    path,
)
from vinyl.web.toolbar import ToolbarMiddleware, panel

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class FromFar:
    """What a browser on another computer looks like."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope | {"client": (FAR, 50000)}, receive, send)


class TestWhichPages:
    async def test_an_html_page_gets_it_before_its_end(self) -> None:
        response = await fetch(html_page)
        before, after = response.text.split("<vinyl-toolbar>")
        assert before == PAGE.removesuffix("</body></html>")
        assert after.endswith("</vinyl-toolbar></body></html>")
        assert int(response.headers["content-length"]) == len(response.content)
        # It was that of another page.
        assert "etag" not in response.headers
        assert "No queries." in text_of(response)

    async def test_it_needs_nothing_from_elsewhere_and_no_script(self) -> None:
        panel = (await fetch(html_page)).text.split("<vinyl-toolbar>")[1]
        assert not re.search(r"<script|\ssrc=|\shref=|url\(|@import|\sstyle=", panel)

    async def test_other_charsets(self) -> None:
        async def view(request: Request, word: str) -> Response:
            page = PAGE.encode("latin-1")
            return Response(page, media_type="text/html; charset=iso-8859-1")

        async with serving(path("<word>/", view), **toolbar()) as http:
            response = await http.get("/ß/")
        assert "Grüße" in response.text
        assert "word='ß'" in text_of(response)

    async def test_the_debug_page_of_an_error_gets_it(self) -> None:
        async def view(request: Request, word: str) -> Response:
            await Artist.objects.count()
            raise ValueError("broken")

        response = await fetch(view)
        assert response.status_code == 500
        assert "SQL 1 query" in text_of(response)
        assert "Status 500" in text_of(response)

    @pytest.mark.parametrize(
        "response",
        [
            JSONResponse({"html": PAGE}),
            HTMLResponse("<p>a part of a page</p>"),
            HTMLResponse(PAGE, headers={"content-encoding": "br"}),
            HTMLResponse(PAGE, headers={"content-disposition": "attachment"}),
            HTMLResponse(PAGE, 206),
            HTMLResponse(b"", 304),
            Response(PAGE, media_type="text/plain"),
        ],
        ids=["JSON", "a part", "compressed", "a download", "206", "304", "plain text"],
    )
    async def test_others_are_left_as_they_are(self, response: Any) -> None:
        async def view(request: Request, word: str) -> Response:
            return response

        # Not decoded: the compressed one is none.
        headers = {"accept-encoding": "identity"}
        async with serving(path("<word>/", view), **toolbar()) as http:
            async with http.stream("GET", "/x/", headers=headers) as got:
                body = b"".join([chunk async for chunk in got.aiter_raw()])
        assert body == response.body
        assert got.headers.get("content-length") == response.headers.get(
            "content-length"
        )

    async def test_a_streamed_page_is_streamed(self) -> None:
        async def view(request: Request, word: str) -> Response:
            return StreamingResponse(iter([PAGE]), media_type="text/html")

        assert (await fetch(view)).text == PAGE

    async def test_a_head_request_is_answered_as_ever(self) -> None:
        response = await fetch(html_page, "HEAD")
        assert response.headers["content-length"] == str(len(PAGE.encode()))

    async def test_in_production_there_is_none(self) -> None:
        assert (await fetch(html_page, DEBUG=False)).text == PAGE

    async def test_far_away_there_is_none(self) -> None:
        far = [f"{__name__}.FromFar"]
        assert (await fetch(html_page, before=far)).text == PAGE
        internal = await fetch(html_page, before=far, INTERNAL_IPS=[FAR])
        assert "<vinyl-toolbar>" in internal.text

    @pytest.mark.parametrize(
        ("client", "is_local"),
        [
            (("127.0.0.1", 1), True),
            (("::1", 1), True),
            ((FAR, 1), False),
            (("testclient", 1), False),
            (None, False),
        ],
    )
    def test_who_is_local(self, client: Any, is_local: bool) -> None:
        from vinyl.web.toolbar import middleware

        assert middleware.is_local({"client": client}) is is_local

    async def test_a_panel_that_fails_leaves_the_page(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*args: Any) -> str:
            raise ValueError("broken")

        monkeypatch.setattr(panel, "rows_of", broken)
        assert (await fetch(html_page)).text == PAGE
        [record] = [one for one in caplog.records if one.name == "vinyl.toolbar"]
        assert record.levelno == logging.ERROR

    async def test_other_protocols_pass(self) -> None:
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])

        await ToolbarMiddleware(app)({"type": "lifespan"}, None, None)
        assert seen == ["lifespan"]
