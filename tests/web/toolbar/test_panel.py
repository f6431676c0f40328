"""What the development toolbar shows of a request."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, call-overload, misc"

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.utils.module_loading import import_string

from tests.records.models import Album, Artist
from tests.web.serving import serving, templates
from tests.web.toolbar.showing import PAGE, fetch, html_page, text_of, toolbar
from vinyl.web import HTMLResponse, Request, Response, path, render
from vinyl.web.http import csp
from vinyl.web.toolbar import ToolbarMiddleware

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class WithSession:
    """A session, a user and a nonce, as middleware sets them."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["session"] = {"cart": "secret-value"}
        Request.of(scope, receive, send).csp_nonce = "n0nce"
        await self.app(scope, receive, send)


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
