"""The site: its own middleware, a page by a sync and by an async view, and its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from tests.compatibility.shop.models import Album, Artist


def region(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A middleware as projects write it, and most packages: it can only be sync."""

    def middleware(request: Any) -> Any:
        request.region = request.headers.get("X-Region", "europe")
        response = get_response(request)
        response["X-Region"] = request.region
        return response

    return middleware


def plain(request: Any) -> HttpResponse:
    albums = list(Album.objects.select_related("artist"))
    return page(request, request.user, albums)


async def asynchronous(request: Any) -> HttpResponse:
    user = await request.auser()
    albums = [album async for album in Album.objects.select_related("artist")]
    return page(request, user, albums)


def page(request: HttpRequest, user: Any, albums: list[Album]) -> HttpResponse:
    context = {"visitor": user.get_username(), "albums": albums}
    context["region"] = getattr(request, "region", "")
    return render(request, "albums.html", context)


urlpatterns = [path("plain/", plain), path("async/", asynchronous)]


def fill(rows: int) -> str:
    """Make albums, and a user who has logged in; return the Cookie header of hers."""
    artist: Any = Artist.objects.create(name="Nina Simone")
    for number in range(rows):
        artist.albums.create(title=f"Songs & <Dances> {number}", year=1950 + number)
    users: Any = get_user_model()
    user = users.objects.create_user("nina", password="a password")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
