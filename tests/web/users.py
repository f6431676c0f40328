"""Views for users to log in and out, and a user."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpResponse

from vinyl.web import PlainTextResponse, path
from vinyl.web.auth import (
    authenticate,
    login,
    logout,
)

AUTH = {
    "MIDDLEWARE": [
        "vinyl.web.sessions.SessionMiddleware",
        "vinyl.web.auth.AuthenticationMiddleware",
    ],
    "LOGIN_URL": "/login/",
}


async def enter(request: Any) -> Any:
    form = await request.form()
    user = await authenticate(request, name=None, **dict(form))
    if user is None:
        return PlainTextResponse("no", 403)
    await login(request, user)
    assert (await request.user) is user
    assert request.user.username == user.username
    assert isinstance(request.user, User)
    return PlainTextResponse("welcome")


def enter_plainly(request: Any) -> Any:
    user = authenticate(request, **request.POST.dict())
    if not user:
        return HttpResponse("no", status=403)
    login(request, user)
    assert request.user == user
    return HttpResponse("welcome")


async def leave(request: Any) -> Any:
    await logout(request)
    assert isinstance(await request.user, AnonymousUser)
    return PlainTextResponse("bye")


async def who(request: Any) -> Any:
    user = await request.user
    assert await request.user is user
    assert await request.auser() is user
    return PlainTextResponse(user.username or "nobody")


def who_plainly(request: Any) -> Any:
    return HttpResponse(request.user.username or "nobody")


VIEWS = (
    path("enter/", enter),
    path("enter/plain/", enter_plainly),
    path("leave/", leave),
    path("who/", who),
    path("who/plain/", who_plainly),
)
NINA = {"username": "nina", "password": "sinnerman"}
