"""
The request that views and middleware get: Starlette's and Django's in one.

It has Starlette's interface, and Django's as well, so that Django's decorators, generic
views, forms, messages and sessions accept it.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import getattr_static
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Self, cast

import starlette.requests
from django.http import Http404
from django.urls import ResolverMatch, get_resolver
from django.utils.functional import cached_property
from starlette.requests import empty_receive, empty_send
from starlette.types import Receive, Scope, Send

from vinyl.conf import django_setting
from vinyl.web.http.csp import make_nonce
from vinyl.web.http.lazy_user import LAZY_USER, USER_SOURCE, LazyUser
from vinyl.web.http.prefix import path_info
from vinyl.web.http.reading import MalformedJSON, ReadableRequest
from vinyl.web.http.redaction import report_filter
from vinyl.web.http.url_match import find_match

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, _User
    from django.contrib.sessions.backends.base import SessionBase

    from vinyl.bridge.calls import Dual

    # Django's returns None, as these do when they are awaited.
    class Session(SessionBase):
        def create(self) -> Dual[None]: ...  # type: ignore[override]
        def cycle_key(self) -> Dual[None]: ...  # type: ignore[override]
        def delete(self, session_key: str | None = None) -> Dual[None]: ...  # type: ignore[override]
        def exists(self, session_key: str) -> Dual[bool]: ...
        def flush(self) -> Dual[None]: ...  # type: ignore[override]
        def save(self, must_create: bool = False) -> Dual[None]: ...  # type: ignore[override]


__all__ = ["MalformedJSON", "Request"]


class Request(ReadableRequest):
    """
    Starlette's request, whose `body()`, `json()` and `form()` are dual-mode: awaited in
    an async view, called without `await` in a `def` view or a template.

    It is Django's `HttpRequest` as well: `GET`, `POST`, `FILES`, `COOKIES`, `META`,
    `path`, `get_host()`, `read()` and so on, and each attribute can be assigned. Where
    code cannot wait, in async middleware, `POST` and `FILES` can be used after `await
    request.form()`; elsewhere they read the form on first use.

    There is one object for each request, which middleware shares: see `Request.of`.

    Args:
        scope, receive, send: The arguments of the ASGI application.
    """

    # So that Django's middleware looks for no token. See vinyl.web.csrf for its check.
    csrf_processing_done = True

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send) -> Self:
        """
        Return the request of *scope*, the same one in each middleware and in the view.
        Never switches.
        """
        request = scope.get("vinyl.request")
        if request is None:
            request = scope["vinyl.request"] = cls(scope, receive, send)
        else:
            # Middleware may have replaced them since.
            request.scope, request._receive, request._send = scope, receive, send
        return request

    # ----- The URL

    @property
    def method(self) -> str:
        """The method, in capital letters."""
        return cast(str, self.scope["method"])

    @method.setter
    def method(self, method: str) -> None:
        self.scope["method"] = method

    @property
    def path(self) -> str:  # type: ignore[override]
        """The whole path, unquoted."""
        return self.scope["path"]

    @property
    def path_info(self) -> str:  # type: ignore[override]
        """The path below the prefix where the application is served."""
        return path_info(self.scope)

    @property
    def script_name(self) -> str:  # type: ignore[override]
        """The prefix: empty, or such as "/shop", without a slash at its end."""
        return self.scope.get("root_path") or ""

    def resolve(self) -> ResolverMatch:
        """
        Return what the URL leads to; looked up once.

        Raises:
            Resolver404: No pattern matches.
            TypeError: A path converter is async.

        Never switches.
        """
        match = self.scope.get("resolver_match")
        if match is None:
            urlconf = getattr(self, "urlconf", None) or django_setting("ROOT_URLCONF")
            # Looked up here: in a descriptor it takes three calls.
            path = self.__dict__.get("path_info")
            if not path:
                scope = self.scope
                path = path_info(scope) if scope.get("root_path") else scope["path"]
            match = find_match(get_resolver(urlconf), path)
            if match.kwargs:
                refuse_coroutines(match)
            self.scope["resolver_match"] = match
        return match

    @property
    def resolver_match(self) -> ResolverMatch | None:
        """The view, its arguments and names, as in Django; None if there is none."""
        try:
            return self.resolve()
        except Http404:
            # No pattern matches, or a path converter says so.
            return None

    @resolver_match.setter
    def resolver_match(self, match: ResolverMatch | None) -> None:
        self.scope["resolver_match"] = match

    # ----- The client

    @property
    def auth(self) -> Any:
        """
        What Starlette's middleware has set, or a package such as django-ninja.

        Raises:
            AttributeError: Nothing has set it.
        """
        return self._from_middleware(
            "auth", "starlette.middleware.authentication.AuthenticationMiddleware"
        )

    @property  # type: ignore[override]
    def session(self) -> Dual[Session]:
        """
        The session, which SessionMiddleware provides.

        Raises:
            AttributeError: No middleware has set it.
        """
        return self._from_middleware("session", "vinyl.web.sessions.SessionMiddleware")

    @session.setter
    def session(self, session: Any) -> None:
        self.scope["session"] = session
        if (source := self.scope.get(USER_SOURCE)) is not None:
            source.session = session

    @property
    def user(self) -> Dual[_User | AnonymousUser]:
        """
        The user who is logged in, whom AuthenticationMiddleware provides: awaitable.

        Raises:
            AttributeError: No middleware has set it.
        """
        # Other middleware may have set this key; vinyl's own does not use it.
        if "user" not in self.scope and (lazy := self.scope.get(LAZY_USER)) is not None:
            return lazy
        return self._from_middleware("user", "vinyl.web.auth.AuthenticationMiddleware")

    @user.setter
    def user(self, user: Any) -> None:
        user = self.scope[LAZY_USER] = LazyUser.of(user)
        if "user" in self.scope:
            self.scope["user"] = user

    async def auser(self) -> _User | AnonymousUser:
        """Return the user, as in Django. Switches to the event loop."""
        return await self.user

    @cached_property
    def exception_reporter_filter(self) -> Any:  # type: ignore[override]
        """The filter that leaves secrets out of reports, as in Django."""
        return report_filter()

    @cached_property
    def csp_nonce(self) -> Any:
        """
        The text for `<script nonce="{{ csp_nonce }}">`, made on first use. It is part
        of the policy in the response's header if `SECURE_CSP` contains `CSP.NONCE`.
        None before Django 6.0.
        """
        return self._csp_nonce

    @cached_property
    def _csp_nonce(self) -> Any:
        # Django's context processor reads this attribute. It does not depend on the
        # other one, in whose place django-csp puts what reads this one.
        return make_nonce()

    @cached_property
    def _messages(self) -> Any:
        # The storage of django.contrib.messages, if MessagesMiddleware is in use.
        make_storage = self.scope.get("vinyl.messages")
        if make_storage is None:
            raise AttributeError("_messages")
        return make_storage(self)

    def _from_middleware(self, name: str, middleware: str) -> Any:
        try:
            return self.scope[name]
        except KeyError:
            raise AttributeError(
                f"The request has no {name!r}, because no middleware has set it. Add "
                f"{middleware!r} to settings.MIDDLEWARE."
            ) from None

    @property
    def id(self) -> str | None:
        """The request id that AccessLogMiddleware has set; None without it."""
        return self.scope.get("vinyl.request_id")


class Assignable:
    """
    A read-only property of a request, until a value is assigned: Django's attributes
    are plain ones, which middleware and packages replace.

    Args:
        get: Returns the value that the request has by itself.
    """

    # Without __set__(), so that Python finds an assigned value first.

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self.get = get
        self.__doc__ = get.__doc__

    def __get__(self, request: Any, owner: type) -> Any:
        return self if request is None else self.get(request)


def make_assignable(cls: type) -> None:
    """Let each read-only property of *cls* and its base classes be assigned."""
    for name in dir(cls):
        value = getattr_static(cls, name)
        if isinstance(value, property) and value.fset is None and value.fget:
            setattr(cls, name, Assignable(value.fget))


make_assignable(Request)


def simplify_init(cls: type) -> None:
    """
    Let *cls* take from its class what Starlette sets on each request to the same value,
    which is most of what making one costs.
    """
    values = vars(starlette.requests.Request({"type": "http"}))
    defaults = {"_stream_consumed": False, "_is_disconnected": False, "_form": None}
    if values.keys() - {"scope", "_receive", "_send"} != defaults.keys():
        # A version of Starlette that is not known yet.
        return

    def __init__(
        self: Any,
        scope: Scope,
        receive: Receive = empty_receive,
        send: Send = empty_send,
    ) -> None:
        assert scope["type"] == "http"
        self.scope = scope
        self._receive = receive
        self._send = send

    cls.__init__ = __init__  # type: ignore[misc]
    for name, value in defaults.items():
        setattr(cls, name, value)


simplify_init(Request)


def refuse_coroutines(match: ResolverMatch) -> None:
    """
    Raises:
        TypeError: The view would get a coroutine as an argument.
    """
    for name, value in match.kwargs.items():
        if isinstance(value, CoroutineType):
            value.close()
            raise TypeError(
                f"The path converter of {name!r} in the URL pattern {match.route!r} "
                f"returned a coroutine, but URLs are resolved by code that cannot "
                f"await it. Make its to_python() a plain function that converts the "
                f"text, and fetch the object in the view."
            )
