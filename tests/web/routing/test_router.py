"""From a URL to a view of any kind, and what a view must return."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, union-attr"

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.urls import converters
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message

from tests.records.models import Album, Artist
from tests.web.serving import serving, settings_for
from vinyl.web import (
    PlainTextResponse,
    Request,
    Response,
    get_asgi_application,
    get_object_or_404,
    include,
    path,
    re_path,
    redirect,
    register_converter,
    reverse,
    reverse_lazy,
)
from vinyl.web.routing.router import call_view

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def async_view(request: Request, pk: int) -> Response:
    artist = await get_object_or_404(Artist, pk=pk)
    return PlainTextResponse(f"{request.method} {artist.name}")


def plain_view(request: Request, pk: int) -> Response:
    return PlainTextResponse(
        f"{request.method} {get_object_or_404(Artist, pk=pk).name}"
    )


class CallableView:
    def __call__(self, request: Request, pk: int) -> Any:
        # Django's generic views do the same: they return what an async method gives.
        return async_view(request, pk)


@dataclass
class AsyncCallableView:
    """A view that has no hash, either."""

    async def __call__(self, request: Request, pk: int) -> Response:
        return await async_view(request, pk)


VIEWS = [async_view, plain_view, CallableView(), AsyncCallableView()]


def echo(request: Request, **kwargs: Any) -> Response:
    return PlainTextResponse(f"{request.resolver_match.view_name} {kwargs}")


@pytest.mark.parametrize(
    "view", VIEWS, ids=lambda view: getattr(view, "__name__", type(view).__name__)
)
async def test_views_of_each_kind_get_request_and_arguments(view: Any) -> None:
    artist = await Artist.objects.create(name="Nina Simone")
    async with serving(path("artists/<int:pk>/", view)) as http:
        found = await http.get(f"/artists/{artist.pk}/")
        assert (found.status_code, found.text) == (200, "GET Nina Simone")
        assert (await http.get("/artists/999999/")).status_code == 404
        assert (await http.get("/artists/none/")).status_code == 404


async def test_patterns_are_djangos() -> None:
    shop = [path("<slug:slug>/", echo, name="album")]
    patterns = [
        path("", echo, name="home"),
        path("shop/", include((shop, "shop"), namespace="shop")),
        re_path(r"^years/(?P<year>[0-9]{4})/$", echo, {"extra": 1}, name="year"),
    ]
    async with serving(*patterns) as http:
        assert reverse("shop:album", args=["pastel-blues"]) == "/shop/pastel-blues/"
        texts = [
            (await http.get(url)).text
            for url in ("/", "/shop/pastel-blues/", "/years/1965/")
        ]
        assert texts == [
            "home {}",
            "shop:album {'slug': 'pastel-blues'}",
            "year {'year': '1965', 'extra': 1}",
        ]
        assert (await http.get("/years/65/")).status_code == 404


async def test_percent_encoded_paths_are_decoded_once() -> None:
    async with serving(path("<str:name>/", echo, name="name")) as http:
        assert (await http.get("/caf%C3%A9/")).text == "name {'name': 'café'}"
        assert (await http.get("/a%2541/")).text == "name {'name': 'a%41'}"


class Year:
    regex = "[0-9]{4}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return f"{value:04}"


class Negative:
    regex = "-?[0-9]+"
    to_python = int
    to_url = str


@pytest.fixture
def custom_converters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(converters, "REGISTERED_CONVERTERS", {})
    register_converter(Year, "year")
    register_converter(Negative, "negative")
    yield
    converters.get_converters.cache_clear()


@pytest.mark.usefixtures("custom_converters")
async def test_converters() -> None:
    patterns = [
        path("i/<int:v>/", echo, name="i"),
        path("s/<slug:v>/", echo, name="s"),
        path("u/<uuid:v>/", echo, name="u"),
        path("p/<path:v>", echo, name="p"),
        path("y/<year:v>/", echo, name="y"),
        path("n/<negative:v>/", echo, name="n"),
        re_path(r"^w/(?P<v>\w+)/$", echo, name="w"),
    ]
    async with serving(*patterns) as http:
        for url, text in {
            "/i/5/": "i {'v': 5}",
            f"/i/{'9' * 40}/": f"i {{'v': {'9' * 40}}}",
            "/s/a-b_1/": "s {'v': 'a-b_1'}",
            f"/u/{UUID(int=1)}/": f"u {{'v': UUID('{UUID(int=1)}')}}",
            "/p/a/b%2Fc": "p {'v': 'a/b/c'}",
            "/y/0065/": "y {'v': 65}",
            "/n/-5/": "n {'v': -5}",
            "/w/caf%C3%A9/": "w {'v': 'café'}",
        }.items():
            assert (await http.get(url)).text == text
        # A quoted slash is one: it ends a segment, as in Django.
        for url in ("/i/-5/", "/s/caf%C3%A9/", "/y/65/", "/u/x/", "/s/a%2Fb/"):
            assert (await http.get(url)).status_code == 404
        assert reverse("y", args=[65]) == "/y/0065/"
        assert reverse("w", args=["café"]) == "/w/caf%C3%A9/"


def either(request: Request, pk: int) -> Response:
    return PlainTextResponse(str(Album.objects.filter(pk=pk).count()))


@pytest.mark.usefixtures("custom_converters")
async def test_numbers_that_no_column_holds() -> None:
    async with serving(
        path("one/<negative:pk>/", async_view),
        path("plain/<negative:pk>/", plain_view),
        path("count/<negative:pk>/", either),
    ) as http:
        for pk in ("-1", "0", str(2**31), str(-(2**63) - 1), "9" * 40):
            assert (await http.get(f"/one/{pk}/")).status_code == 404
            assert (await http.get(f"/plain/{pk}/")).status_code == 404
            assert (await http.get(f"/count/{pk}/")).text == "0"


async def test_namespaces_of_instances_and_inside_each_other() -> None:
    def here(request: Request, **kwargs: Any) -> Response:
        match = request.resolver_match
        own = reverse("shop:tracks:one", args=[1], current_app=match.namespace)
        return PlainTextResponse(f"{match.view_name} {own}")

    tracks = [path("<int:pk>/", here, name="one")]
    shop = [path("tracks/", include((tracks, "tracks")))]
    patterns = [
        path("a/", include((shop, "shop"), namespace="a")),
        path("b/<str:lang>/", include((shop, "shop"), namespace="b")),
        path("c/", include((shop, "shop"))),
        path("to/", lambda request: redirect("a:tracks:one", pk=3)),
    ]
    async with serving(*patterns) as http:
        assert (await http.get("/a/tracks/1/")).text == ("a:tracks:one /a/tracks/1/")
        assert (await http.get("/c/tracks/1/")).text == ("shop:tracks:one /c/tracks/1/")
        assert (await http.get("/to/")).headers["location"] == "/a/tracks/3/"
        assert reverse("b:tracks:one", kwargs={"lang": "de", "pk": 2}) == (
            "/b/de/tracks/2/"
        )
        assert str(reverse_lazy("a:tracks:one", args=[4])) == "/a/tracks/4/"


class TestSlashes:
    async def test_a_missing_slash_is_added_and_the_query_kept(self) -> None:
        async with serving(path("albums/", echo)) as http:
            response = await http.get("/albums?page=2&q=a%20b")
            assert response.status_code == 301
            assert response.headers["location"] == "/albums/?page=2&q=a%20b"

    async def test_a_post_keeps_its_method(self) -> None:
        async with serving(path("albums/", echo)) as http:
            assert (await http.post("/albums")).status_code == 308

    async def test_only_where_a_view_is(self) -> None:
        async with serving(path("albums/", echo)) as http:
            assert (await http.get("/artists")).status_code == 404

    async def test_not_when_switched_off(self) -> None:
        async with serving(path("albums/", echo), APPEND_SLASH=False) as http:
            assert (await http.get("/albums")).status_code == 404

    async def test_never_leads_to_another_host(self) -> None:
        async with serving(re_path(r"^(?P<rest>.+)/$", echo)) as http:
            # httpx would read the path as a host if it got it as a relative URL.
            response = await http.get("http://testserver//evil.example/albums")
            assert response.status_code == 301
            location = response.headers["location"]
            assert httpx.URL("http://testserver/").join(location).host == "testserver"

    async def test_encoded_characters_stay_encoded(self) -> None:
        async with serving(path("<str:name>/", echo, name="name")) as http:
            response = await http.get("/caf%C3%A9%3Fa", follow_redirects=True)
            assert response.text == "name {'name': 'café?a'}"


async def test_addresses_below_a_prefix() -> None:
    """A server that serves the site below /shop says so with `root_path`."""
    patterns = (path("albums/", lambda request: redirect("albums"), name="albums"),)
    with settings_for(patterns, {}):
        transport = httpx.ASGITransport(get_asgi_application(), root_path="/shop")
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as http:
            response = await http.get("/shop/albums/")
            assert response.headers["location"] == "/shop/albums/"
            response = await http.get("/shop/albums")
            assert response.headers["location"] == "/shop/albums/"
        # The prefix belongs to that request and not to this task.
        assert reverse("albums") == "/albums/"


async def test_addresses_of_a_mounted_application() -> None:
    def view(request: Request) -> Response:
        return PlainTextResponse(
            f"{reverse('home')} {request.path} {request.path_info} "
            f"{request.build_absolute_uri('x')}"
        )

    with settings_for((path("home/", view, name="home"),), {}):
        app = Starlette(routes=[Mount("/site", app=get_asgi_application())])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as http:
            response = await http.get("/site/home/")
            assert response.text == (
                "/site/home/ /site/home/ /home/ http://testserver/site/home/x"
            )
            response = await http.get("/site/home?a=1")
            assert response.headers["location"] == "/site/home/?a=1"
            assert (await http.get("/home/")).status_code == 404


async def unfinished(request: Request) -> Any:
    """Forgets to return."""


async def unawaited_call(request: Request) -> Any:
    return Album.objects.count()


async def unawaited_coroutine(request: Request) -> Any:
    return unfinished(request)


async def unawaited_queryset(request: Request) -> Any:
    return Album.objects.all()


async def text(request: Request) -> Any:
    return "Hello"


def plain_text(request: Request) -> Any:
    return "Hello"


@pytest.mark.parametrize(
    ("view", "mistake"),
    [
        (unfinished, "returned None"),
        (unawaited_call, r"not awaited.*AlbumQuerySet\.count.*`await`"),
        (unawaited_coroutine, r"not awaited.*unfinished.*`await`"),
        (unawaited_queryset, r"AlbumQuerySet of Album, not awaited.*not a response"),
        (text, "returned 'Hello', which is not a response"),
        (plain_text, "returned 'Hello', which is not a response"),
    ],
)
async def test_what_is_no_response_is_named(
    view: Callable[..., Any], mistake: str
) -> None:
    request = Request({"type": "http", "method": "GET"})
    with pytest.raises(TypeError, match=mistake) as caught:
        await call_view(view, request)
    assert str(caught.value).startswith(f"The view {__name__}.{view.__name__} (")
    line = view.__code__.co_firstlineno
    assert f"{__file__}, line {line})" in str(caught.value)


class Pages(View):
    async def get(self, request: Request) -> Any:
        """Forgets to return."""


class PlainPages(View):
    @method_decorator(require_POST)
    def post(self, request: Request) -> Any:
        return "Hello"


class Callable_:
    async def __call__(self, request: Request) -> Any:
        """Forgets to return."""

    def method(self, request: Request) -> Any:
        """Forgets to return."""


def given(number: int, request: Request) -> Any:
    """Forgets to return."""


async def pieces(request: Request) -> Any:
    yield "Hello"


def plain_pieces(request: Request) -> Any:
    yield "Hello"


ODD_VIEWS: dict[str, Any] = {
    "Pages.get": Pages.as_view(),
    "PlainPages.post": PlainPages.as_view(),
    "unfinished": require_http_methods(["GET"])(unfinished),
    "given": partial(given, 1),
    "Callable_.__call__": Callable_(),
    "Callable_.method": Callable_().method,
    "<lambda>": lambda request: None,
    "pieces": pieces,
    "plain_pieces": plain_pieces,
}


@pytest.mark.parametrize("name", ODD_VIEWS)
async def test_the_function_that_somebody_wrote_is_named(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    method = "POST" if name.endswith("post") else "GET"
    async with serving(path("", ODD_VIEWS[name])) as http:
        assert (await http.request(method, "/")).status_code == 500
    place = rf"\({re.escape(__file__)}, line \d+\)"
    named = re.escape(f"The view {__name__}.{name} ")
    assert re.search(named + place, caplog.text)
    if "pieces" in name:
        assert "contains `yield`" in caplog.text


async def test_a_websocket_is_refused() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    with settings_for((path("", echo),), {}):
        app = get_asgi_application()
        scope = {"type": "websocket", "path": "/", "headers": [], "scheme": "ws"}
        await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


def of_package(name: str, source: str) -> Any:
    """A module with *source*, as if an installed package contained it."""
    module = ModuleType(name)
    module.__file__ = f"/lib/site-packages/{name}/views.py"
    exec(compile(source, module.__file__, "exec"), vars(module))
    return module


PACKAGES = {
    "function": "async def view(request): return await answer(len(request.body))",
    "callable": "class View:\n"
    "  async def __call__(self, request): return await answer(len(request.body))\n"
    "view = markcoroutinefunction(View())",
    "base class": "class view(View):\n  def size(self): return len(self.request.body)",
}
BEGIN = (
    "from asgiref.sync import markcoroutinefunction\n"
    "from django.views import View\n"
    "from vinyl.web import PlainTextResponse\n"
    "async def answer(size): return PlainTextResponse(str(size))\n"
)


@pytest.mark.parametrize("kind", PACKAGES)
async def test_async_views_of_packages_get_the_body_as_django_has_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its type is; a view of the project may read it while it arrives."""
    module = of_package("package_of_views", f"{BEGIN}{PACKAGES[kind]}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    view = module.view
    if isinstance(view, type):

        async def post(self: Any, request: Any) -> Any:
            return PlainTextResponse(str(self.size()))

        own: Any = type("Own", (view,), {"post": post})
        view = own.as_view()
    async with serving(path("", csrf_exempt(view))) as page:
        headers = {"content-type": "application/octet-stream"}
        assert (await page.post("/", content=b"12345", headers=headers)).text == "5"
