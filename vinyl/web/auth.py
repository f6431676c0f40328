"""
Users in requests: `request.user`, logging in and out, and access to views.

Every decision is made by django.contrib.auth: user models, backends, permissions,
signals, forms and views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction
from django.contrib import auth
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth import decorators
from django.contrib.auth.middleware import (
    LoginRequiredMiddleware as DjangosLoginRequired,
)
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.utils.functional import Promise
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.orm import run, use_driver
from vinyl.web.http.django_responses import convert_response
from vinyl.web.http.lazy_user import LAZY_USER, USER_SOURCE, LazyUser
from vinyl.web.http.requests import Request

__all__ = [
    "AuthenticationMiddleware",
    "LoginRequiredMiddleware",
    "authenticate",
    "get_user",
    "login",
    "login_not_required",
    "login_required",
    "logout",
    "permission_required",
    "staff_member_required",
    "update_session_auth_hash",
    "user_passes_test",
]

# Django's own are dual-mode as well, wherever they are imported from.
authenticate = use_driver(auth.authenticate)
get_user = use_driver(auth.get_user)
login = use_driver(auth.login)
logout = use_driver(auth.logout)
update_session_auth_hash = use_driver(auth.update_session_auth_hash)

V = TypeVar("V", bound=Callable[..., Any])


class LoginRequired(Protocol):
    """`login_required`, whose stubs accept only views of Django's responses."""

    @overload
    def __call__(
        self,
        function: V,
        redirect_field_name: str | None = ...,
        login_url: str | Promise | None = None,
    ) -> V: ...

    @overload
    def __call__(
        self,
        function: None = None,
        redirect_field_name: str | None = ...,
        login_url: str | Promise | None = None,
    ) -> Callable[[V], V]: ...


class PermissionRequired(Protocol):
    """`permission_required`, whose stubs accept only views of Django's responses."""

    def __call__(
        self,
        perm: Iterable[str] | str,
        login_url: str | Promise | None = None,
        raise_exception: bool = False,
    ) -> Callable[[V], V]: ...


login_required = cast(LoginRequired, decorators.login_required)
login_not_required = cast("Callable[[V], V]", decorators.login_not_required)
permission_required = cast(PermissionRequired, decorators.permission_required)


def user_passes_test(
    test_func: Callable[[Any], Any], *args: Any, **kwargs: Any
) -> Callable[[V], V]:
    """
    Return a decorator that serves a view only to users who pass *test_func*, and
    redirects others to the login page. The view may be async or plain.

    Args:
        test_func: Takes the user; returns whether the view is served. It may be
            `async def`, also where the view is plain.
        args, kwargs: `login_url` and `redirect_field_name`, as in Django.

    Never switches; the decorated view does.
    """
    test = test_func
    if iscoroutinefunction(test_func):

        async def test(user: Any) -> Any:
            # A plain view passes a user that may not have been fetched.
            return await test_func(await LazyUser.of(user))

    return decorators.user_passes_test(test, *args, **kwargs)


class AuthenticationMiddleware:
    """
    Give each request and WebSocket its lazy `user`, from the session: `await
    request.user` in an async view, `request.user` in sync code and templates.

    Settings, read by Django: `AUTHENTICATION_BACKENDS`, `AUTH_USER_MODEL`.

    Raises:
        ImproperlyConfigured: With the first request: no SessionMiddleware comes before
            this class.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            if "session" not in scope:
                raise ImproperlyConfigured(
                    "AuthenticationMiddleware found no session in the request. List "
                    "'vinyl.web.sessions.SessionMiddleware' before "
                    "'vinyl.web.auth.AuthenticationMiddleware' in settings.MIDDLEWARE."
                )
            # Not the request itself: its user would keep it alive.
            source: Any = SimpleNamespace(session=scope["session"])
            scope[USER_SOURCE] = source
            scope[LAZY_USER] = LazyUser(partial(auth.get_user, source))
            # Set by an application around this one, which may have another user.
            scope.pop("user", None)
        await self.app(scope, receive, send)


class LoginRequiredMiddleware:
    """
    Redirect visitors who are not logged in to the login page, unless the view is
    decorated with `login_not_required`. WebSockets pass; their views decide.

    List it after AuthenticationMiddleware. Settings: `LOGIN_URL`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.rules = DjangosLoginRequired(lambda request: HttpResponse())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: Any = self.app
        if scope["type"] == "http":
            request: Any = Request.of(scope, receive, send)
            match = request.resolver_match
            if match is not None:
                response = await run(
                    self.rules.process_view,
                    request,
                    match.func,
                    match.args,
                    match.kwargs,
                )
                if response is not None:
                    app = await convert_response(response)
        await app(scope, receive, send)
