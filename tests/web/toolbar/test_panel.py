"""The development toolbar: which pages get it, and what it shows."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, call-overload, misc"

from __future__ import annotations

import asyncio
import html
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from django.utils.module_loading import import_string

from tests.records.models import Album, Artist
from tests.web.serving import serving, templates
from vinyl.web import (
    HTMLResponse,
    JSONResponse,
    Request,
    Response,
    StreamingResponse,
    path,
    render,
)
from vinyl.web.http import csp
from vinyl.web.toolbar import ToolbarMiddleware, panel

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

PAGE = "<!doctype html><html><body><p>Grüße</p></body></html>"
FAR = "192.0.2.7"


class FromFar:
    """What a browser on another computer looks like."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope | {"client": (FAR, 50000)}, receive, send)


class WithSession:
    """A session, a user and a nonce, as middleware sets them."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["session"] = {"cart": "secret-value"}
        Request.of(scope, receive, send).csp_nonce = "n0nce"
        await self.app(scope, receive, send)


def toolbar(**settings: Any) -> dict[str, Any]:
    here = settings.pop("before", [])
    middleware = [*here, "vinyl.web.toolbar.ToolbarMiddleware"]
    return {"DEBUG": True, "MIDDLEWARE": middleware, **settings}


async def fetch(view: Any, method: str = "GET", **settings: Any) -> Any:
    headers = settings.pop("headers", {})
    async with serving(path("<word>/", view), **toolbar(**settings)) as http:
        return await http.request(method, "/x/", headers=headers)


async def html_page(request: Request, word: str) -> Response:
    return HTMLResponse(PAGE, headers={"etag": '"abc"'})


def text_of(response: Any) -> str:
    """The panel as it reads."""
    [panel] = re.findall(r"<vinyl-toolbar>(.*)</vinyl-toolbar>", response.text, re.S)
    panel = re.sub(r"<style.*?</style>", "", panel, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", panel)).split())


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


class TestQueries:
    async def test_each_with_its_time_and_line(self) -> None:
        async def view(request: Request, word: str) -> Response:
            await Artist.objects.count()
            return HTMLResponse(PAGE)

        shown = text_of(await fetch(view))
        line = view.__code__.co_firstlineno + 1
        name = "test_each_with_its_time_and_line.<locals>.view"
        assert re.search(
            rf"SQL 1 query \d+\.\d ms SELECT records_artist "
            rf"tests/web/toolbar/test_panel\.py:{line} in view\(\) "
            r"SELECT COUNT\(\*\)",
            shown,
        ), shown
        assert f"{__name__}.TestQueries.{name}(word='x')" in shown

    async def test_values_are_escaped(self) -> None:
        attack = "</pre></template><script>alert(1)</script>"

        async def view(request: Request, word: str) -> Response:
            await Artist.objects.filter(name=attack).exists()
            await Artist.objects.extra(where=["'<b>' = '<b>'"]).exists()
            return HTMLResponse(PAGE)

        response = await fetch(view, headers={"x-attack": attack})
        assert "<script>" not in response.text
        assert "<b>'" not in response.text
        assert attack in html.unescape(response.text)

    async def test_what_is_asked_twice_is_marked(self) -> None:
        async def view(request: Request, word: str) -> Response:
            for name in ("Nina", "Nina", "Abbey"):
                await Artist.objects.filter(name=name).exists()
            return HTMLResponse(PAGE)

        shown = text_of(await fetch(view))
        assert shown.count("duplicate, 2 times") == 2
        assert shown.count("similar, 3 times") == 1

    async def test_those_of_tasks_and_none_of_others(self) -> None:
        both = asyncio.Barrier(2)

        async def view(request: Request, word: str) -> Response:
            await both.wait()
            await asyncio.gather(
                *(Artist.objects.filter(name=f"{word}-{n}").count() for n in range(3))
            )
            await both.wait()
            return HTMLResponse(PAGE)

        async with serving(path("<word>/", view), **toolbar()) as http:
            pages = await asyncio.gather(http.get("/first/"), http.get("/second/"))
        for page, own, other in zip(
            map(text_of, pages), ("first", "second"), ("second", "first"), strict=True
        ):
            assert "SQL 3 queries" in page
            assert all(f"'{own}-{n}'" in page for n in range(3))
            assert f"'{other}-" not in page

    async def test_one_that_fails(self) -> None:
        async def view(request: Request, word: str) -> Response:
            await Artist.objects.create(name="Nina")
            try:
                await Artist.objects.create(name="Nina")
            except Exception as error:
                return HTMLResponse(f"<body>{type(error).__name__}</body>")
            raise AssertionError

        response = await fetch(view)
        assert "IntegrityError<" in response.text
        assert "failed with " in text_of(response)

    async def test_an_n_plus_1_with_its_cure(self) -> None:
        for number in range(3):
            artist = await Artist.objects.create(name=f"Artist {number}")
            await Album.objects.create(title="One", artist=artist)

        async def view(request: Request, word: str) -> Response:
            albums = await Album.objects.all()
            return await render(request, "page.html", {"albums": albums})

        row = "{{ album.artist.name }}"
        page = f"<body>{{% for album in albums %}}\n{row}{{% endfor %}}</body>"
        shown = text_of(await fetch(view, **templates(files={"page.html": page})))
        assert "1 N+1" in shown
        assert "Album.artist 3 times in " in shown
        assert ", by template page.html:2 Load it with the queryset of Album: " in shown
        assert 'select_related("artist").' in shown


class TestTemplates:
    async def test_who_uses_whom(self) -> None:
        files = {
            "base.html": "{% include 'head.html' %}<body>{% block b %}{% endblock %}"
            "</body>",
            "head.html": "<title></title>",
            "parts.html": "{% macro part(n) %}{{ n }}{% endmacro %}",
            "row.html": "{% include ['none.html', 'leaf.html'] %}",
            "leaf.html": "leaf",
            "page.html": (
                "{% extends 'base.html' %}\n{% from 'parts.html' import part %}\n"
                "{% block b %}{% for n in range(3) %}\n{% include 'row.html' %}"
                "{{ part(n) }}{% endfor %}{% endblock %}"
            ),
        }

        async def view(request: Request, word: str) -> Response:
            return await render(request, "page.html")

        shown = text_of(await fetch(view, **templates(files=files)))
        tree = re.search(r"Templates 6 (.*?) Request ", shown)
        assert tree, shown
        assert re.fullmatch(
            r"page\.html rendered in [\d.]+ ms base\.html extended in line 1 "
            r"head\.html included in line 1 parts\.html imported in line 2 "
            r"row\.html included in line 4, 3 times "
            r"leaf\.html included in line 1, 3 times",
            tree[1],
        ), tree[1]

    async def test_one_that_includes_itself(self) -> None:
        page = (
            "<body>{% set n = n - 1 %}{% if n %}{% include 'page.html' %}{% endif %}"
            "</body>"
        )

        async def view(request: Request, word: str) -> Response:
            return await render(request, "page.html", {"n": 4})

        shown = text_of(await fetch(view, **templates(files={"page.html": page})))
        assert "page.html included in line 1, 3 times" in shown


class TestRequest:
    async def test_secrets_stay_out(self) -> None:
        response = await fetch(
            html_page,
            headers={
                "cookie": "sessionid=s3cret",
                "authorization": "Bearer s3cret",
                "x-api-key": "s3cret",
                "x-plain": "plain",
            },
            before=[f"{__name__}.WithSession"],
        )
        shown = text_of(response)
        assert "s3cret" not in response.text
        assert "secret-value" not in response.text
        assert "Session keys cart" in shown
        assert "x-plain plain" in shown
        assert "cookie ****" in shown

    async def test_the_user_is_not_fetched(self) -> None:
        from django.utils.functional import SimpleLazyObject

        def fail() -> None:
            raise AssertionError

        async def view(request: Request, word: str) -> Response:
            request.user = SimpleLazyObject(fail)
            return HTMLResponse(PAGE)

        assert "User not fetched" in text_of(await fetch(view))

    async def test_the_real_session_and_user(self) -> None:
        async def view(request: Request, word: str) -> Response:
            session = await request.session
            session["cart"] = "secret-value"
            await request.user
            return HTMLResponse(PAGE)

        before = [
            "vinyl.web.sessions.SessionMiddleware",
            "vinyl.web.auth.AuthenticationMiddleware",
        ]
        response = await fetch(view, before=before)
        assert "User '' Session keys cart" in text_of(response)
        assert "secret-value" not in response.text
        shown = text_of(await fetch(html_page, before=before))
        assert "User not fetched Session keys not loaded" in shown
        assert "SQL 0 queries" in shown

    async def test_the_nonce_of_the_page(self) -> None:
        response = await fetch(html_page, before=[f"{__name__}.WithSession"])
        assert '<style nonce="n0nce">' in response.text

    @pytest.mark.skipif(not csp.AVAILABLE, reason="Django 6.0 has policies")
    @pytest.mark.parametrize("comes_first", [True, False])
    async def test_the_nonce_is_in_the_policy(self, comes_first: bool) -> None:
        from django.utils.csp import CSP

        security = "vinyl.web.security.SecurityMiddleware"
        middleware = ["vinyl.web.toolbar.ToolbarMiddleware"]
        middleware.insert(1 if comes_first else 0, security)
        policy = {"default-src": [CSP.SELF], "style-src": [CSP.SELF, CSP.NONCE]}
        response = await fetch(html_page, MIDDLEWARE=middleware, SECURE_CSP=policy)
        nonce = re.search(r'<style nonce="(.+?)">', response.text)
        assert nonce, response.text
        assert f"'nonce-{nonce[1]}'" in response.headers["content-security-policy"]


def test_the_settings_of_the_docs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "topics" / "toolbar.md").read_text()
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(code, names)
    assert import_string(names["MIDDLEWARE"][0]) is ToolbarMiddleware
    assert set(names) & {"DEBUG", "INTERNAL_IPS"} == {"INTERNAL_IPS"}
