"""Django's decorators for views: on each kind of view, with each kind of response."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"
# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-call, type-arg"

from __future__ import annotations

import datetime
import gzip
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.http import HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators import cache as django_cache

from tests.records.models import Label
from tests.web.serving import serving, templates
from vinyl.orm import run
from vinyl.web import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    StreamingResponse,
    decorators,
    path,
    render,
)
from vinyl.web.decorators import cache_page
from vinyl.web.http.requests import Request
from vinyl.web.views import View

pytestmark = pytest.mark.anyio

TEXT = "hello " * 100
WHEN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
LAST = "Wed, 01 Jan 2020 00:00:00 GMT"


# ----- The kinds of views, each made from what gives its response


def plain(respond: Callable[..., Any], decorate: Callable[..., Any]) -> Callable:
    @decorate
    def view(request: Any) -> Any:
        return respond(request)

    return view


def asynchronous(respond: Callable[..., Any], decorate: Callable[..., Any]) -> Callable:
    @decorate
    async def view(request: Any) -> Any:
        response = respond(request)
        return await response if hasattr(response, "__await__") else response

    return view


def plain_class(respond: Callable[..., Any], decorate: Callable[..., Any]) -> Callable:
    @method_decorator(decorate, name="dispatch")
    class Decorated(View):
        def get(self, request: Any) -> Any:
            return respond(request)

        post = get

    return Decorated.as_view()


def async_class(respond: Callable[..., Any], decorate: Callable[..., Any]) -> Callable:
    class Decorated(View):
        @method_decorator(decorate)
        async def get(self, request: Any) -> Any:
            response = respond(request)
            return await response if hasattr(response, "__await__") else response

        post = get

    return Decorated.as_view()


KINDS = [plain, asynchronous, plain_class, async_class]
RESPONSES: dict[str, Callable[..., Any]] = {
    "vinyl's": lambda request: PlainTextResponse(TEXT),
    "Django's": lambda request: HttpResponse(TEXT, content_type="text/plain"),
    "rendered": lambda request: render(request, "text.html"),
    "to be rendered": lambda request: TemplateResponse(request, "text.html"),
}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param


@pytest.fixture(params=RESPONSES)
def respond(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return RESPONSES[request.param]


# ----- What each decorator does to the answer of a GET and of a POST


def has(name: str, *words: str) -> Callable[..., Any]:
    def check(got: Any, posted: Any) -> None:
        assert (got.status_code, got.text) == (200, TEXT)
        for word in words:
            assert word in got.headers[name]

    return check


def allows(*methods: str) -> Callable[..., Any]:
    def check(got: Any, posted: Any) -> None:
        assert (got.status_code == 200) == ("GET" in methods)
        assert (posted.status_code == 200) == ("POST" in methods)
        refused = posted if "GET" in methods else got
        assert refused.headers["allow"] == ", ".join(methods)

    return check


def says_nothing(got: Any, posted: Any) -> None:
    assert (got.text, posted.text) == (TEXT, TEXT)


CASES = {
    "require_GET": (decorators.require_GET, allows("GET")),
    "require_POST": (decorators.require_POST, allows("POST")),
    "require_safe": (decorators.require_safe, allows("GET", "HEAD")),
    "require_http_methods": (
        decorators.require_http_methods(["GET", "PUT"]),
        allows("GET", "PUT"),
    ),
    "cache_control": (
        decorators.cache_control(max_age=60, public=True),
        has("cache-control", "max-age=60", "public"),
    ),
    "never_cache": (decorators.never_cache, has("cache-control", "no-store")),
    "vary_on_headers": (decorators.vary_on_headers("Accept"), has("vary", "Accept")),
    "vary_on_cookie": (decorators.vary_on_cookie, has("vary", "Cookie")),
    "xframe_options_deny": (
        decorators.xframe_options_deny,
        has("x-frame-options", "DENY"),
    ),
    "xframe_options_sameorigin": (
        decorators.xframe_options_sameorigin,
        has("x-frame-options", "SAMEORIGIN"),
    ),
    "gzip_page": (decorators.gzip_page, has("content-encoding", "gzip")),
    "condition": (
        decorators.condition(lambda r: '"1"', lambda r: WHEN),
        has("last-modified", LAST),
    ),
    "etag": (decorators.etag(lambda r: '"1"'), has("etag", '"1"')),
    "last_modified": (
        decorators.last_modified(lambda r: WHEN),
        has("last-modified", LAST),
    ),
    "conditional_page": (decorators.conditional_page, has("etag", '"')),
    "sensitive_post_parameters": (
        decorators.sensitive_post_parameters("password"),
        says_nothing,
    ),
    "sensitive_variables": (decorators.sensitive_variables("secret"), says_nothing),
    "csrf_exempt": (decorators.csrf_exempt, says_nothing),
    "no_append_slash": (decorators.no_append_slash, says_nothing),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_decorator(
    name: str, kind: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    decorate, check = CASES[name]
    files = templates(files={"text.html": TEXT})
    async with serving(path("", kind(respond, decorate)), **files) as page:
        check(await page.get("/"), await page.post("/"))


@pytest.mark.parametrize("name", ["conditional_page", "etag", "condition"])
async def test_an_unchanged_page_is_not_sent_again(
    name: str, kind: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    decorate, _ = CASES[name]
    files = templates(files={"text.html": TEXT})
    async with serving(path("", kind(respond, decorate)), **files) as page:
        first = await page.get("/")
        known = {"if-none-match": first.headers["etag"]}
        again = await page.get("/", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


def newest(request: Any) -> str:
    return f"{Label.objects.count()}"


async def newest_async(request: Any) -> str:
    return f"{await Label.objects.count()}"


def first_made(request: Any) -> datetime.datetime | None:
    return WHEN if Label.objects.exists() else None


async def first_made_async(request: Any) -> datetime.datetime | None:
    return WHEN if await Label.objects.exists() else None


@pytest.mark.parametrize(
    ("tag", "made"), [(newest, first_made), (newest_async, first_made_async)]
)
async def test_conditions_may_use_the_database(
    db: str, kind: Callable[..., Any], tag: Any, made: Any
) -> None:
    def respond(request: Any) -> Any:
        return PlainTextResponse(TEXT)

    decorate, tagged = decorators.condition(tag, made), decorators.etag(tag)
    views = (path("", kind(respond, decorate)), path("tag/", kind(respond, tagged)))
    async with serving(*views) as page:
        none = await page.get("/")
        assert none.headers["etag"] == '"0"'
        assert "last-modified" not in none.headers
        await Label.objects.create(name="Philips")
        for url in ("/", "/tag/"):
            known = {"if-none-match": none.headers["etag"]}
            one = await page.get(url, headers=known)
            assert (one.status_code, one.headers["etag"]) == (200, '"1"')
            known = {"if-none-match": '"1"'}
            assert (await page.get(url, headers=known)).status_code == 304
        assert (await page.get("/")).headers["last-modified"] == LAST


class Watching:
    """Notes the view's response, which may say more than its headers."""

    response: Any = None

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            Watching.response = scope["vinyl.response"]
            await send(message)

        await self.app(scope, receive, watched)


async def test_middleware_can_see_an_exemption(
    kind: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    view = kind(respond, decorators.xframe_options_exempt)
    settings = templates(files={"text.html": TEXT})
    settings["MIDDLEWARE"] = [f"{__name__}.Watching"]
    async with serving(path("", view), **settings) as page:
        await page.get("/")
    assert Watching.response.xframe_options_exempt is True


async def test_no_slash_is_appended_where_the_view_says_so() -> None:
    view = RESPONSES["vinyl's"]
    exempt = decorators.no_append_slash(lambda request: view(request))
    async with serving(path("a/", view), path("b/", exempt)) as page:
        assert (await page.get("/a")).status_code == 301
        assert (await page.get("/b")).status_code == 404


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django 6 has it")
async def test_the_decorators_of_the_content_security_policy(
    kind: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    from django.views.decorators.csp import csp_override

    policy = {"default-src": ["'self'"]}
    settings = templates(files={"text.html": TEXT})
    settings["MIDDLEWARE"] = [f"{__name__}.Watching"]
    async with serving(path("", kind(respond, csp_override(policy))), **settings) as p:
        assert (await p.get("/")).text == TEXT
    assert Watching.response._csp_config == policy


def test_login_not_required_marks_the_view(kind: Callable[..., Any]) -> None:
    from django.contrib.auth.decorators import login_not_required

    view = login_not_required(kind(RESPONSES["vinyl's"], lambda view: view))
    assert view.login_required is False


# ----- Compression of streams


def pieces() -> Any:
    yield TEXT
    yield TEXT.encode()


async def pieces_async() -> Any:
    yield TEXT
    yield TEXT.encode()


@pytest.mark.parametrize("make", [StreamingResponse, StreamingHttpResponse])
@pytest.mark.parametrize("content", [pieces, pieces_async])
async def test_a_stream_is_compressed(make: Any, content: Any) -> None:
    @decorators.gzip_page
    async def view(request: Any) -> Any:
        return make(content())

    async with serving(path("", view)) as page:
        async with page.stream("GET", "/", headers={"accept-encoding": "gzip"}) as it:
            raw = b"".join([piece async for piece in it.aiter_raw()])
    assert len(raw) < len(TEXT)
    assert gzip.decompress(raw).decode() == TEXT * 2


async def test_a_file_response_says_why_it_cannot_be_compressed(caplog: Any) -> None:
    @decorators.gzip_page
    async def view(request: Any) -> Any:
        return FileResponse(__file__)

    async with serving(path("", view)) as page:
        response = await page.get("/", headers={"accept-encoding": "gzip"})
    assert response.status_code == 500
    assert "A FileResponse is sent from the disk" in caplog.text


# ----- cache_page


CACHES = {
    "locmem": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "db": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cached_pages",
    },
}


@pytest.mark.parametrize("backend", CACHES)
@pytest.mark.parametrize("decorator", [cache_page, django_cache.cache_page])
async def test_a_cached_page(
    backend: str, decorator: Any, kind: Callable[..., Any], db: str
) -> None:
    calls = []

    def respond(request: Any) -> Any:
        calls.append(request.path)
        return JSONResponse({"n": len(calls)}, headers={"x-a": "1"})

    urls = path("a/", kind(respond, decorator(60))), path("b/", kind(respond, id_))
    async with serving(*urls, CACHES={"default": CACHES[backend]}) as page:
        try:
            if backend == "db":
                await created()
            first = await page.get("/a/")
            again = await page.get("/a/")
            assert (again.status_code, again.content) == (200, first.content)
            assert again.headers["content-type"] == "application/json"
            assert again.headers["x-a"] == "1"
            assert "max-age=60" in again.headers["cache-control"]
            assert (await page.get("/a/?q=1")).json() == {"n": 2}
            assert (await page.post("/a/")).json() == {"n": 3}
            assert calls == ["/a/"] * 3
            await page.get("/b/")
            await page.get("/b/")
            assert len(calls) == 5
        finally:
            await cache.aclear()
            if backend == "db":
                await dropped()


def id_(view: Callable[..., Any]) -> Callable[..., Any]:
    return view


async def created() -> None:
    await run(call_command, "createcachetable", verbosity=0)


async def dropped() -> None:
    def drop() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("DROP TABLE cached_pages")

    await run(drop)


async def test_a_cached_async_view_uses_the_database(db: str) -> None:
    @cache_page(60)
    async def view(request: Any) -> Any:
        await Label.objects.create(name="once")
        return PlainTextResponse(str(await Label.objects.count()))

    async with serving(path("", view), CACHES={"default": CACHES["locmem"]}) as page:
        try:
            assert [(await page.get("/")).text for _ in range(3)] == ["1"] * 3
        finally:
            cache.clear()


def test_decorated_views_keep_their_names() -> None:
    async def view(request: Request) -> Any: ...

    assert cache_page(60)(view).__name__ == "view"
