"""An error page, and the e-mail about it, never fail because of what they show."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, index, misc, override, type-var"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django import forms
from django.db.models import F, Q
from django.http import Http404, HttpResponse
from django.utils.functional import SimpleLazyObject
from django.views.debug import ExceptionReporter

from tests.fix_db import only_sqlite
from tests.records.models import Album, Artist
from tests.web.errors.failing import DEBUG, admins, broken, raising
from tests.web.serving import serving
from vinyl.bridge.greenlets import current_bridge
from vinyl.orm import await_, connection, connections, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.scope import current_scope
from vinyl.web import (
    EventSourceResponse,
    JSONResponse,
    Request,
    Response,
    StreamingResponse,
    path,
)
from vinyl.web.errors.logging_setup import wait_for_emails

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_sqlite]

MIDDLEWARE = [
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
]


class Hostile(Exception):
    """What looking at one of the objects below raises."""


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise Hostile


def hostile(*names: str) -> Any:
    """An object whose methods *names* raise."""
    return type("Odd", (), dict.fromkeys(names, refuse))()


class LyingClass:
    __class__ = property(refuse)
    __repr__ = refuse


class Odd(str):
    __slots__ = ()
    __repr__ = __str__ = refuse


class OddDict(dict):
    __repr__ = __iter__ = __len__ = items = __contains__ = refuse


class OddError(Exception):
    __str__ = __repr__ = refuse


class SealedError(Exception):
    """Its attributes cannot be read or set."""

    __setattr__ = __getattribute__ = refuse


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["title", "artist"]


async def coroutine() -> None:
    """Never awaited; the tests close it."""


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


def objects(request: Request, album: Album) -> dict[str, Callable[[], Any]]:
    """Everything that can stand in a frame of vinyl's, made anew by each call."""
    return {
        "the user": lambda: request.user,
        "the session": lambda: request.session,
        "the request": lambda: request,
        "the scope": lambda: request.scope,
        "headers": lambda: request.headers,
        "query parameters": lambda: request.query_params,
        "cookies": lambda: request.cookies,
        "META": lambda: request.META,
        "a relation not fetched": lambda: album.artist,
        "a null relation not fetched": lambda: album.label,
        "a list of relations not fetched": lambda: [album.artist, {1: album.label}],
        "a queryset not awaited": lambda: Album.objects.all(),
        "a queryset in a list": lambda: [Album.objects.filter(title="x")],
        "a raw queryset": lambda: Album.objects.raw("SELECT * FROM records_album"),
        "values": lambda: Album.objects.values("title"),
        "a stream": lambda: Album.objects.iterator(),
        "a manager": lambda: Album.objects,
        "a related manager": lambda: album.tracks,
        "a model": lambda: Album,
        "an instance": lambda: album,
        "an instance without its row": lambda: Album(pk=-1),
        "expressions": lambda: (F("title"), Q(title="x") & Q(artist=1)),
        "a form": lambda: AlbumForm({"title": "x"}),
        "an unbound form": lambda: AlbumForm(),
        "a formset": lambda: forms.formset_factory(AlbumForm)(),
        "a field": lambda: AlbumForm()["artist"],
        "the connection": lambda: connection,
        "the connections": lambda: connections,
        "a cursor": lambda: connection.cursor(),
        "a pinned block": lambda: connection.pinned(),
        "a block": lambda: transaction.atomic(),
        "the pool": lambda: pool_for("default"),
        "the scope of the run": lambda: current_scope.get(),
        "a lazy object that fails": lambda: SimpleLazyObject(refuse),
        "a lazy object": lambda: SimpleLazyObject(lambda: album),
        "a response": lambda: Response("x"),
        "JSON": lambda: JSONResponse({"a": 1}),
        "Django's response": lambda: HttpResponse("x"),
        "a stream of bytes": lambda: StreamingResponse(generator()),
        "events": lambda: EventSourceResponse(async_generator()),
        "a generator": generator,
        "an async generator": async_generator,
        "a task": asyncio.current_task,
        "the loop": asyncio.get_running_loop,
        "a future": lambda: asyncio.get_running_loop().create_future(),
        "a lock": asyncio.Lock,
        "a lying class": LyingClass,
        "odd text": lambda: Odd("x"),
        "an odd dict": lambda: OddDict(a=1),
        "an odd error": OddError,
        **{
            f"an object without {name}": lambda name=name: hostile(name)
            for name in (
                "__repr__ __str__ __bool__ __len__ __iter__ __eq__ __hash__ "
                "__getattr__ __getattribute__ __format__ __contains__ __getitem__ "
                "__call__ __dir__ __html__ __class_getitem__"
            ).split()
        },
    }


NAMES = sorted(objects(Any, Any))
CLOSED_AFTERWARDS = {
    "a call": lambda: Album.objects.count(),
    "a coroutine": coroutine,
}


async def fetched() -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    await Album.objects.create(title="Pastel Blues", artist=artist)
    return await Album.objects.get()


async def asynchronously(request: Request) -> Response:
    shown = objects(request, await fetched())[request.GET["name"]]()
    raise ZeroDivisionError(f"with {type(shown)}")


def plainly(request: Request) -> Response:
    shown = objects(request, await_(fetched()))[request.GET["name"]]()
    bridge = current_bridge()  # noqa: F841
    raise ZeroDivisionError(f"with {type(shown)}")


async def to_be_closed(request: Request) -> Response:
    with contextlib.closing(CLOSED_AFTERWARDS[request.GET["name"]]()) as shown:
        request.scope["state"]["kept"] = shown
        raise ZeroDivisionError(f"with {type(shown)}")


async def asking_an_unfetched_user(request: Request) -> Response:
    if request.user.is_authenticated:
        return Response("in")
    return Response("out")


async def all_of_the_error(request: Request) -> Response:
    shown = objects(request, await fetched())[request.GET["name"]]()
    raise ValueError(shown)


async def reason_of_a_404(request: Request) -> Response:
    raise Http404((await fetched()).artist)


PAGES = (
    path("async/", asynchronously),
    path("plain/", plainly),
    path("closed/", to_be_closed),
    path("user/", asking_an_unfetched_user),
    path("error/", all_of_the_error),
    path("404/", reason_of_a_404),
)


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json"])
@pytest.mark.parametrize("view", ["async", "plain"])
async def test_every_object_can_stand_in_a_frame(view: str, kind: str) -> None:
    failed = []
    async with serving(*PAGES, MIDDLEWARE=MIDDLEWARE, **DEBUG) as http:
        for name in NAMES:
            await run(Artist.objects.all().delete)
            page = await http.get(
                f"/{view}/", params={"name": name}, headers={"accept": kind}
            )
            whole = "ZeroDivisionError" in page.text
            if (
                page.status_code != 500
                or not whole
                or "values are missing" in page.text
            ):
                failed.append((name, page.text[:300]))
    assert not failed


@pytest.mark.parametrize("name", CLOSED_AFTERWARDS)
async def test_frames_may_have_variables_that_have_to_be_awaited(name: str) -> None:
    async with serving(*PAGES, MIDDLEWARE=MIDDLEWARE, **DEBUG) as http:
        page = await http.get("/closed/", params={"name": name})
    assert "ZeroDivisionError" in page.text
    assert "values are missing" not in page.text


async def test_an_error_may_have_any_object_as_its_message() -> None:
    failed = []
    async with serving(*PAGES, MIDDLEWARE=MIDDLEWARE, **DEBUG) as http:
        for name in NAMES:
            await run(Artist.objects.all().delete)
            page = await http.get("/error/", params={"name": name})
            if page.status_code != 500 or "ValueError" not in page.text:
                failed.append((name, page.text[:300]))
    assert not failed


@pytest.mark.parametrize("settings", [DEBUG, {}], ids=["DEBUG", "production"])
async def test_an_error_may_refuse_all_access(settings: dict[str, Any]) -> None:
    async with serving(raising(SealedError()), **settings) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "Internal Server Error" in response.text or "SealedError" in response.text


async def test_the_reason_of_a_404_may_be_anything() -> None:
    for settings in (DEBUG, {}):
        async with serving(*PAGES, **settings) as http:
            await run(Artist.objects.all().delete)
            assert (await http.get("/404/")).status_code == 404


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json"])
async def test_a_user_who_was_not_awaited_is_named_with_the_remedy(kind: str) -> None:
    async with serving(*PAGES, MIDDLEWARE=MIDDLEWARE, **DEBUG) as http:
        page = await http.get("/user/", headers={"accept": kind})
    assert page.status_code == 500
    assert "await request.user" in page.text


async def test_admins_are_sent_an_email_whatever_it_shows(outbox: list[Any]) -> None:
    async with serving(*PAGES, MIDDLEWARE=MIDDLEWARE, **admins()) as http:
        for view in ("async", "plain", "error"):
            for name in NAMES:
                await run(Artist.objects.all().delete)
                await http.get(f"/{view}/", params={"name": name})
        await wait_for_emails()
    assert len(outbox) == 3 * len(NAMES)
    for message in outbox:
        assert "Traceback" in message.body


# ----- Reporters of the project


class Loud(ExceptionReporter):
    def get_traceback_html(self) -> str:
        return "a reporter of the project's"


async def test_the_projects_own_reporter() -> None:
    setting = {"DEFAULT_EXCEPTION_REPORTER": f"{__name__}.Loud"}
    async with serving(path("", broken), **DEBUG, **setting) as http:
        assert "a reporter of the project's" in (await http.get("/")).text


class Failing(ExceptionReporter):
    def get_traceback_html(self) -> str:
        raise RuntimeError("in the reporter")


async def test_a_reporter_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    setting = {"DEFAULT_EXCEPTION_REPORTER": f"{__name__}.Failing"}
    async with serving(path("", broken), **DEBUG, **setting) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "ZeroDivisionError: for &lt;developers&gt; only" in response.text
    assert "RuntimeError: in the reporter" in response.text
    assert "in the reporter" in caplog.text
