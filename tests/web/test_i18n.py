"""The language of a request: how it is chosen, and that it stays with its request."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from django.conf.urls.i18n import i18n_patterns
from django.utils import translation
from django.utils.translation import gettext, gettext_lazy
from django.views.i18n import JavaScriptCatalog, set_language

from tests.web.serving import serving, templates
from vinyl.web import (
    PlainTextResponse,
    Request,
    Response,
    get_asgi_application,
    in_thread,
    path,
    render,
    reverse,
)

pytestmark = pytest.mark.anyio

MIDDLEWARE = ["vinyl.web.i18n.LocaleMiddleware"]
SETTINGS: dict[str, Any] = {
    "MIDDLEWARE": MIDDLEWARE,
    "LANGUAGE_CODE": "en",
    "LANGUAGES": [("en", "English"), ("de", "German"), ("fr", "French")],
    **templates(files={"yes.html": "{% trans %}Yes{% endtrans %}"}),
}
YES = {"en": "Yes", "de": "Ja", "fr": "Oui"}
LAZY = gettext_lazy("Yes")


class Meeting:
    """Each of *number* views waits here for the others."""

    def __init__(self, number: int) -> None:
        self.barrier = asyncio.Barrier(number)

    async def wait(self) -> None:
        async with asyncio.timeout(10):
            await self.barrier.wait()


async def awaiting(request: Request) -> Response:
    return PlainTextResponse(gettext("Yes"))


async def rendering(request: Request) -> Response:
    return await render(request, "yes.html")


def plain(request: Request) -> Response:
    return PlainTextResponse(str(LAZY))


def plainly_rendering(request: Request) -> Response:
    return render(request, "yes.html")


@in_thread
def threaded(request: Request) -> Response:
    return PlainTextResponse(gettext("Yes"))


async def streaming(request: Request) -> Response:
    from vinyl.web import StreamingResponse

    async def content() -> Any:
        await asyncio.sleep(0)
        yield gettext("Yes")

    return StreamingResponse(content())


VIEWS = (awaiting, rendering, plain, plainly_rendering, threaded, streaming)
PATTERNS = [path(f"{view.__name__}/", view) for view in VIEWS]


@pytest.mark.parametrize("view", [view.__name__ for view in VIEWS])
async def test_each_request_has_its_own(view: str) -> None:
    before = translation.get_language()
    async with serving(*PATTERNS, **SETTINGS) as http:
        languages = ["de", "fr", "en", "it", "de", "fr"]
        answers = await asyncio.gather(
            *(
                http.get(f"/{view}/", headers={"Accept-Language": it})
                for it in languages
            )
        )
    assert [answer.text for answer in answers] == [
        "Ja",
        "Oui",
        "Yes",
        "Yes",
        "Ja",
        "Oui",
    ]
    assert answers[0].headers["content-language"] == "de"
    assert answers[0].headers["vary"] == "Accept-Language"
    assert translation.get_language() == before


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_it_stays_while_others_run(kind: str) -> None:
    """Three requests are under way at the same time, each in the midst of its view."""
    from vinyl.orm import await_

    meeting = Meeting(3)

    async def waiting(request: Request) -> Response:
        before = gettext("Yes")
        await meeting.wait()
        with translation.override("fr"):
            await meeting.wait()
        return PlainTextResponse(f"{before} {gettext('Yes')} {request.LANGUAGE_CODE}")

    def plainly_waiting(request: Request) -> Response:
        before = gettext("Yes")
        await_(meeting.wait())
        with translation.override("fr"):
            await_(meeting.wait())
        return PlainTextResponse(f"{before} {gettext('Yes')} {request.LANGUAGE_CODE}")

    view: Any = waiting if kind == "async" else plainly_waiting
    async with serving(path("", view), **SETTINGS) as http:
        answers = await asyncio.gather(
            *(http.get("/", headers={"Accept-Language": it}) for it in YES)
        )
    assert [a.text for a in answers] == [f"{YES[it]} {YES[it]} {it}" for it in YES]


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "en"),
        ({"Accept-Language": "it, de;q=0.5, fr;q=0.7"}, "fr"),
        ({"Accept-Language": "de-AT"}, "de"),
        ({"Accept-Language": "*"}, "en"),
        ({"Accept-Language": "x" * 10000}, "en"),
        ({"Accept-Language": "de\x00"}, "en"),
        ({"Cookie": "django_language=de"}, "de"),
        ({"Cookie": "django_language=de", "Accept-Language": "fr"}, "de"),
        ({"Cookie": "django_language=../../etc"}, "en"),
    ],
)
async def test_how_it_is_chosen(headers: dict[str, str], language: str) -> None:
    async with serving(*PATTERNS, **SETTINGS) as http:
        answer = await http.get("/awaiting/", headers=headers)
    assert answer.text == YES[language]
    assert answer.headers["content-language"] == language


async def test_error_pages_are_translated_too() -> None:
    files = {"404.html": "{% trans %}Yes{% endtrans %}"}
    settings = {**SETTINGS, **templates(files=files)}
    async with serving(**settings) as http:
        answer = await http.get("/none/", headers={"Accept-Language": "de"})
    assert (answer.status_code, answer.text) == (404, "Ja")


async def test_what_a_view_says_stays() -> None:
    async def view(request: Request) -> Response:
        headers = {"Content-Language": "la", "Vary": "Cookie"}
        return PlainTextResponse("", headers=headers)

    async with serving(path("", view), **SETTINGS) as http:
        headers = (await http.get("/")).headers
    assert headers["content-language"] == "la"
    assert headers["vary"] == "Cookie, Accept-Language"


async def test_without_translations_it_does_nothing() -> None:
    async with serving(*PATTERNS, **SETTINGS, USE_I18N=False) as http:
        answer = await http.get("/awaiting/", headers={"Accept-Language": "de"})
    assert answer.text == "Yes"
    assert "content-language" not in answer.headers


class TestPrefixes:
    """`i18n_patterns`."""

    @staticmethod
    async def where(request: Request) -> Response:
        return PlainTextResponse(f"{gettext('Yes')} {reverse('where')}")

    def patterns(self, **options: Any) -> list[Any]:
        pattern = path("where/", self.where, name="where")
        return i18n_patterns(pattern, **options)

    async def test_the_path_chooses(self) -> None:
        async with serving(*self.patterns(), **SETTINGS) as http:
            answer = await http.get("/de/where/", headers={"Accept-Language": "fr"})
        assert answer.text == "Ja /de/where/"
        assert answer.headers["content-language"] == "de"
        assert "vary" not in answer.headers

    @pytest.mark.parametrize(
        ("url", "location"),
        [
            ("/where/", "/de/where/"),
            ("/where", "/de/where/"),
            ("/where/?page=2", "/de/where/?page=2"),
        ],
    )
    async def test_a_missing_prefix_is_added(self, url: str, location: str) -> None:
        async with serving(*self.patterns(), **SETTINGS) as http:
            answer = await http.get(url, headers={"Accept-Language": "de"})
            assert answer.status_code == 302
            assert answer.headers["location"] == location
            assert answer.headers["vary"] == "Accept-Language, Cookie"
            assert answer.content == b""
            assert (await http.get("/none/")).status_code == 404
            assert (await http.get("/it/where/")).status_code == 404

    async def test_below_another_path(self) -> None:
        async with serving(*self.patterns(), **SETTINGS):
            transport = httpx.ASGITransport(get_asgi_application(), root_path="/shop")
            base = "http://testserver"
            async with httpx.AsyncClient(transport=transport, base_url=base) as http:
                answer = await http.get("/shop/where/")
                assert answer.headers["location"] == "/shop/en/where/"
                answer = await http.get("/shop/de/where/")
                assert answer.text == "Ja /shop/de/where/"

    async def test_the_default_language_without_a_prefix(self) -> None:
        patterns = self.patterns(prefix_default_language=False)
        async with serving(*patterns, **SETTINGS) as http:
            plain = await http.get("/where/", headers={"Accept-Language": "de"})
            prefixed = await http.get("/de/where/")
        assert plain.text == "Yes /where/"
        assert prefixed.text == "Ja /de/where/"


async def test_djangos_views_for_languages() -> None:
    patterns = [
        *PATTERNS,
        path("i18n/setlang/", set_language),
        path("jsi18n/", JavaScriptCatalog.as_view(packages=["django.contrib.auth"])),
    ]
    async with serving(*patterns, **SETTINGS) as http:
        chosen = await http.post(
            "/i18n/setlang/", data={"language": "de", "next": "/awaiting/"}
        )
        assert chosen.headers["location"] == "/awaiting/"
        assert (await http.get("/awaiting/")).text == "Ja"
        assert "gettext" in (await http.get("/jsi18n/")).text
