"""Views that use the session in each way, and the settings for an engine."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse

from vinyl.web import PlainTextResponse, path

MIDDLEWARE = ["vinyl.web.sessions.SessionMiddleware"]
ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]


def sessions(engine: str = "db", **settings: Any) -> dict[str, Any]:
    return {
        "MIDDLEWARE": MIDDLEWARE,
        "SESSION_ENGINE": f"django.contrib.sessions.backends.{engine}",
        **settings,
    }


async def count(request: Any) -> Any:
    session = await request.session
    session["n"] = session.get("n", 0) + 1
    return PlainTextResponse(str(session["n"]))


async def count_natively(request: Any) -> Any:
    n = await request.session.aget("n", 0) + 1
    await request.session.aset("n", n)
    return PlainTextResponse(str(n))


def count_plainly(request: Any) -> Any:
    request.session["n"] = request.session.get("n", 0) + 1
    return HttpResponse(str(request.session["n"]))


async def ignore(request: Any) -> Any:
    return PlainTextResponse("-")


async def read(request: Any) -> Any:
    return PlainTextResponse(str((await request.session).get("n")))


async def flush(request: Any) -> Any:
    await request.session.flush()
    return PlainTextResponse("gone")


async def cycle(request: Any) -> Any:
    before = request.session.session_key
    await request.session.cycle_key()
    return PlainTextResponse(str(before != request.session.session_key))


VIEWS = (
    path("count/", count),
    path("native/", count_natively),
    path("plain/", count_plainly),
    path("ignore/", ignore),
    path("read/", read),
    path("flush/", flush),
    path("cycle/", cycle),
)
