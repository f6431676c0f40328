"""Django's code takes vinyl's requests for its own, and its responses are sent."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, call-overload, list-item"
# mypy: disable-error-code="misc, union-attr, unreachable"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import datetime
import functools
from typing import Any

import pytest
from django import http
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import condition, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django.views.generic import DetailView, ListView, RedirectView, View

from tests.records.models import Artist, Label
from tests.web.serving import serving, templates
from vinyl.web import JSONResponse, PlainTextResponse, path
from vinyl.web.http.requests import Request

pytestmark = pytest.mark.anyio

FORM = {"title": "Pastel Blues", "genre": ["jazz", "blues"]}
COVER = {"cover": ("../../front.png", b"\x89PNG", "image/png; x=y")}


# ----- The request


def described(request: Any) -> Any:
    return JSONResponse(
        {
            "django's": isinstance(request, HttpRequest),
            "GET": request.GET.getlist("q"),
            "path": [request.path, request.path_info, request.get_full_path()],
            "host": request.get_host(),
            "secure": request.is_secure(),
            "cookie": request.COOKIES["c"],
            "type": [request.content_type, request.content_params],
            "meta": request.META["HTTP_X_NAME"],
            "route": request.resolver_match.route,
            "absolute": request.build_absolute_uri("/x/"),
            "accepts": request.accepts("text/html"),
        }
    )


async def test_a_request_has_djangos_interface() -> None:
    async with serving(path("at/<int:n>/", lambda r, n: described(r))) as page:
        response = await page.get(
            "/at/3/?q=1&q=2",
            headers={
                "x-name": "Nina",
                "content-type": "text/plain; charset=utf-8",
                "accept": "application/json",
                "cookie": "c=1",
            },
        )
    assert response.json() == {
        "django's": True,
        "GET": ["1", "2"],
        "path": ["/at/3/", "/at/3/", "/at/3/?q=1&q=2"],
        "host": "testserver",
        "secure": False,
        "cookie": "1",
        "type": ["text/plain", {"charset": "utf-8"}],
        "meta": "Nina",
        "route": "at/<int:n>/",
        "absolute": "http://testserver/x/",
        "accepts": False,
    }


def submitted(request: Any) -> Any:
    files = request.FILES.getlist("cover")
    return JSONResponse(
        {
            "title": request.POST["title"],
            "genre": request.POST.getlist("genre"),
            "files": [[f.name, f.size, f.content_type, f.read().hex()] for f in files],
        }
    )


async def submitted_async(request: Any) -> Any:
    form = await request.form()
    assert form["title"] == request.POST["title"]
    return submitted(request)


@pytest.mark.parametrize("view", [submitted, submitted_async])
async def test_forms_and_files_are_as_django_forms_take_them(view: Any) -> None:
    async with serving(path("", view)) as page:
        plain = await page.post("/", data=FORM)
        with_file = await page.post("/", data=FORM, files=COVER)
    expected = {"title": "Pastel Blues", "genre": ["jazz", "blues"], "files": []}
    assert plain.json() == expected
    # The name that the client sent cannot lead out of a folder.
    expected["files"] = [["front.png", 4, "image/png", b"\x89PNG".hex()]]
    assert with_file.json() == expected


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "x\\"])
async def test_a_file_that_was_not_chosen_is_none(name: str) -> None:
    content = (
        f'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nPastel Blues\r\n'
        f'--b\r\nContent-Disposition: form-data; name="cover"; filename="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n\r\n--b--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    async with serving(path("", submitted)) as page:
        response = await page.post("/", content=content, headers=headers)
    assert response.json() == {"title": "Pastel Blues", "genre": [], "files": []}


async def test_a_form_is_djangos_in_an_async_view() -> None:
    async def view(request: Any) -> Any:
        return PlainTextResponse(request.POST["title"])

    async with serving(path("", view)) as page:
        assert (await page.post("/", data=FORM)).text == "Pastel Blues"


class ReadingMiddleware:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            request = Request.of(scope, receive, send)
            await request.form()
            request.seen = request.POST["title"]  # type: ignore[attr-defined]
            request.route = request.resolver_match.route  # type: ignore[attr-defined]
        await self.app(scope, receive, send)


async def test_middleware_and_view_share_the_request_and_its_body() -> None:
    async def view(request: Any) -> Any:
        form = await request.form()
        return PlainTextResponse(f"{request.seen} {form['title']} {request.route}")

    middleware = [f"{__name__}.ReadingMiddleware"]
    async with serving(path("x/", view), MIDDLEWARE=middleware) as page:
        response = await page.post("/x/", data=FORM)
    assert response.text == "Pastel Blues Pastel Blues x/"


# ----- Django's responses


class Labels(ListView):
    model = Label
    paginate_by = 2
    ordering = "name"
    template_name = "labels.html"


class OneLabel(DetailView):
    model = Label
    template_name = "label.html"


class Greeting(View):
    async def get(self, request: Any) -> Any:
        return PlainTextResponse(str(await Label.objects.count()))


async def test_djangos_generic_views_serve(db: Any) -> None:
    for name in ["Philips", "Verve", "Colpix"]:
        await Label.objects.create(name=name)
    pk = (await Label.objects.get(name="Verve")).pk
    texts = {
        "labels.html": "{{ object_list|map(attribute='name')|join(' ') }}"
        " {{ page_obj.number }}/{{ paginator.num_pages }}",
        "label.html": "{{ label.name }}",
    }
    async with serving(
        path("", Labels.as_view()),
        path("<int:pk>/", OneLabel.as_view()),
        path("count/", Greeting.as_view()),
        path("old/", RedirectView.as_view(url="/new/", permanent=True)),
        **templates(files=texts),
    ) as page:
        assert (await page.get("/")).text == "Colpix Philips 1/2"
        assert (await page.get("/?page=2")).text == "Verve 2/2"
        assert (await page.get("/?page=9")).status_code == 404
        assert (await page.get(f"/{pk}/")).text == "Verve"
        assert (await page.get("/0/")).status_code == 404
        assert (await page.get("/count/")).text == "3"
        refused = await page.post("/count/")
        assert (refused.status_code, refused.headers["allow"]) == (
            405,
            "GET, HEAD, OPTIONS",
        )
        moved = await page.get("/old/")
        assert (moved.status_code, moved.headers["location"]) == (301, "/new/")


# ----- Django's decorators


def greet(request: Any) -> Any:
    return PlainTextResponse("hello")


async def greet_async(request: Any) -> Any:
    return PlainTextResponse("hello")


@pytest.mark.parametrize("view", [greet, greet_async])
async def test_djangos_decorators_work_on_vinyls_responses(view: Any) -> None:
    when = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    async with serving(
        path("post/", require_POST(view)),
        path("any/", require_http_methods(["GET", "PUT"])(view)),
        path("cached/", cache_control(max_age=60, public=True)(view)),
        path("never/", never_cache(view)),
        path("vary/", vary_on_headers("Accept")(view)),
        path("dated/", condition(last_modified_func=lambda r: when)(view)),
        path("hidden/", sensitive_post_parameters("password")(view)),
    ) as page:
        assert (await page.get("/post/")).status_code == 405
        assert (await page.post("/post/")).text == "hello"
        assert (await page.put("/any/")).text == "hello"
        assert (await page.delete("/any/")).status_code == 405
        cached = (await page.get("/cached/")).headers["cache-control"]
        assert set(cached.split(", ")) == {"max-age=60", "public"}
        assert "no-store" in (await page.get("/never/")).headers["cache-control"]
        assert (await page.get("/vary/")).headers["vary"] == "Accept"
        dated = await page.get("/dated/")
        assert dated.headers["last-modified"] == "Wed, 01 Jan 2020 00:00:00 GMT"
        since = {"if-modified-since": dated.headers["last-modified"]}
        assert (await page.get("/dated/", headers=since)).status_code == 304
        assert (await page.post("/hidden/")).text == "hello"


class Exempt(View):
    @method_decorator(csrf_exempt)
    def dispatch(self, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(*args, **kwargs)

    def post(self, request: Any) -> Any:
        return HttpResponse("done")


async def test_a_view_can_be_exempt_from_the_csrf_check() -> None:
    settings = {"MIDDLEWARE": ["vinyl.web.csrf.CSRFMiddleware"]}
    other_site = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    async with serving(
        path("open/", csrf_exempt(greet_async)),
        path("class/", Exempt.as_view()),
        path("closed/", greet_async),
        **settings,
    ) as page:
        assert (await page.post("/open/", headers=other_site)).text == "hello"
        assert (await page.post("/class/", headers=other_site)).text == "done"
        assert (await page.post("/closed/", headers=other_site)).status_code == 403


# ----- Streams and transactions


def failing(request: Any) -> Any:
    Artist.objects.create(name="half")
    raise http.Http404


async def failing_async(request: Any) -> Any:
    await Artist.objects.create(name="half")
    raise http.Http404


@pytest.mark.parametrize("view", [failing, failing_async])
async def test_atomic_requests_roll_back_a_view_that_fails(
    view: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    async with serving(path("", view)) as page:
        assert (await page.get("/")).status_code == 404
        assert await Artist.objects.filter(name="half").count() == 0


def counting(dispatch: Any) -> Any:
    """A decorator that uses the database before the method does."""

    def counted(request: Any, *args: Any, **kwargs: Any) -> Any:
        Artist.objects.create(name="dispatched")
        return dispatch(request, *args, **kwargs)

    return counted


@method_decorator(counting, name="dispatch")
class Counting(View):
    def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        Artist.objects.create(name="set up")

    async def get(self, request: Any) -> Any:
        if "fail" in request.GET:
            raise http.Http404
        return PlainTextResponse(str(await Artist.objects.count()))


async def test_atomic_requests_hold_for_all_of_a_class_with_async_handlers(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    async with serving(path("", Counting.as_view())) as page:
        assert (await page.get("/?fail")).status_code == 404
        assert (await page.get("/")).text == "2"
    assert await Artist.objects.count() == 2


def passing(view: Any) -> Any:
    """A decorator of the kind that Django's are for async views."""

    @functools.wraps(view)
    async def passed(request: Any) -> Any:
        return await view(request)

    return passed


@pytest.mark.parametrize("decorate", [never_cache, passing, csrf_exempt, lambda v: v])
async def test_a_class_with_async_handlers_may_query_below_a_decorator(
    db: Any, decorate: Any
) -> None:
    async with serving(path("", decorate(Counting.as_view()))) as page:
        assert (await page.get("/")).text == "2"
    assert await Artist.objects.count() == 2


async def test_a_view_can_be_exempt_from_atomic_requests(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)

    @transaction.non_atomic_requests
    async def view(request: Any) -> Any:
        return await failing_async(request)

    async with serving(path("", view)) as page:
        assert (await page.get("/")).status_code == 404
    assert await Artist.objects.filter(name="half").count() == 1


async def test_cookies_can_be_changed_as_in_django() -> None:
    async def view(request: Any) -> Any:
        response = PlainTextResponse("x")
        response.set_cookie("a", "1")
        response.cookies["a"]["secure"] = True
        response.set_cookie("b", "2")
        response.set_cookie("a", "3", httponly=True)
        response.cookies["c"] = "4"
        response.headers.append("set-cookie", "d=5; Path=/")
        response.set_cookie("e", "6")
        response.cookies["c"]["samesite"] = "Strict"
        del response.cookies["e"]
        response.delete_cookie("f")
        return response

    async with serving(path("", view)) as page:
        sent = (await page.get("/")).headers.get_list("set-cookie")
    assert len(sent) == 5
    a, b, c, d, f = sorted(sent)
    assert a.startswith("a=3; ")
    assert {"HttpOnly", "Secure"} <= set(a.split("; "))
    assert b == "b=2; Path=/; SameSite=lax"
    assert c == "c=4; SameSite=Strict"
    assert d == "d=5; Path=/"
    assert "Max-Age=0" in f


def test_responses_have_djangos_header_interface() -> None:
    response = PlainTextResponse("x")
    response["X-A"] = 1
    response.setdefault("X-A", "2")
    response.set_signed_cookie("c", "value", salt="s", max_age=60)
    assert (response["x-a"], "X-A" in response, response.get("X-B")) == (
        "1",
        True,
        None,
    )
    del response["X-A"]
    assert not response.has_header("X-A")
    assert response.cookies["c"]["max-age"] == "60"
    assert (response.content, response.reason_phrase) == (b"x", "OK")
    with pytest.raises(TypeError):
        iter(response)
    request = Request({"type": "http", "headers": [], "method": "GET"})
    request._cookies = {"c": response.cookies["c"].value}
    assert request.get_signed_cookie("c", salt="s") == "value"
