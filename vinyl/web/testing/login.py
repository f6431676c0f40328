"""Logging the client for tests in and out, without a login page."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import httpx
from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse

from vinyl.bridge.greenlets import run
from vinyl.web.sessions import session_store

__all__ = ["force_login", "login", "logout"]


async def login(http: httpx.AsyncClient, **credentials: Any) -> bool:
    """
    Log *http* in with *credentials*, as `authenticate()` takes them.

    Returns: Whether they are valid. If not, nothing changes.

    Switches to the event loop.
    """
    user = await run(auth.authenticate, **credentials)
    if user is None:
        return False
    await force_login(http, user)
    return True


async def force_login(
    http: httpx.AsyncClient, user: Any, backend: str | None = None
) -> None:
    """
    Log *http* in as *user*, in its session or a new one.

    Args:
        http: The client.
        user: The user.
        backend: Dotted path of the authentication backend to record. By default the one
            that `authenticate()` recorded, or the first of
            `settings.AUTHENTICATION_BACKENDS`.

    Switches to the event loop.
    """
    await run(_log_in, http, user, backend)


async def logout(http: httpx.AsyncClient) -> None:
    """Log *http* out, and delete its session. Switches to the event loop."""
    await run(_log_out, http)


def _log_in(http: httpx.AsyncClient, user: Any, backend: str | None) -> None:
    known = backend or getattr(user, "backend", None)
    request = _request(http)
    auth.login(request, user, known or settings.AUTHENTICATION_BACKENDS[0])
    request.session.save()
    _set_cookie(http, request.session.session_key)


def _log_out(http: httpx.AsyncClient) -> None:
    request = _request(http)
    request.user = auth.get_user(request)
    auth.logout(request)
    _set_cookie(http, None)


def _request(http: httpx.AsyncClient) -> Any:
    """Return a request of Django with the session of *http*."""
    request: Any = HttpRequest()
    engine = import_module(settings.SESSION_ENGINE)
    name = settings.SESSION_COOKIE_NAME
    keys = [cookie.value for cookie in http.cookies.jar if cookie.name == name]
    request.session = session_store(engine.SessionStore)(keys[0] if keys else None)
    return request


def _set_cookie(http: httpx.AsyncClient, key: str | None) -> None:
    """Set the cookie as a response would, so that the next response replaces it."""
    response = HttpResponse()
    name, path = settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_PATH
    domain = settings.SESSION_COOKIE_DOMAIN
    if key is None:
        response.delete_cookie(name, path, domain)
    else:
        response.set_cookie(name, key, path=path, domain=domain)
    cookie = response.cookies[name].output(header="").strip()
    http.cookies.extract_cookies(
        httpx.Response(
            200,
            headers=[("set-cookie", cookie)],
            request=httpx.Request("GET", http.base_url),
        )
    )
