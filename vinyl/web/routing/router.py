"""
The router: finding the view of a URL, and calling it.

URLs are resolved by Django's own resolver, which does no I/O: converters, namespaces,
`reverse()` and `get_absolute_url()` work as in Django.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from inspect import CO_COROUTINE
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.db import connections
from django.http import Http404
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, is_valid_path
from django.utils.http import escape_leading_slashes
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from vinyl.bridge.bytecode import PACKAGE, owner_of
from vinyl.bridge.greenlets import run
from vinyl.bridge.threads import (
    atomic_in_thread,
    is_atomic_in_thread,
    runs_in_thread,
)
from vinyl.orm import transaction
from vinyl.web.http.bodies import Body
from vinyl.web.http.django_responses import AnyResponse, convert_response
from vinyl.web.http.parsers import FORM_TYPES
from vinyl.web.http.requests import Request
from vinyl.web.http.url_match import route_for_tools
from vinyl.web.routing.mounted_apps import Mounted
from vinyl.web.routing.unawaited import is_watching, refusing_unawaited
from vinyl.web.routing.view_names import describe_view, explain_result
from vinyl.web.routing.websockets import WebSocket, finish

__all__ = ["call_view", "dispatch", "match_of", "note_route", "response_of"]

NO_ARGUMENTS: Mapping[str, Any] = {}


async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    """
    Serve a request or WebSocket with the view that `settings.ROOT_URLCONF` has for it.
    An ASGI app.

    Raises:
        Http404: No pattern matches, or a WebSocket was opened for a view of HTTP.
        TypeError: The view returned something that is not a response.

    Switches to the event loop.
    """
    if scope["type"] == "websocket":
        await connect(WebSocket.of(scope, receive, send))
        return
    request = Request.of(scope, receive, send)
    match = match_of(request)
    app: Any = match
    if not isinstance(match, RedirectResponse):
        view: Any = match.func
        if isinstance(view, Mounted):
            app = view.at(match)
        else:
            note_route(scope, match)
            app = await call_view(view, request, match.args, match.kwargs)
            if isinstance(app, HttpResponseBase):
                app = await convert_response(app)
    await app(scope, receive, send)


def note_route(scope: Scope, match: ResolverMatch) -> None:
    """
    Put the view and its route into *scope*, where tools look for them. Never switches.
    """
    route = scope["route"] = route_for_tools(match)
    scope["endpoint"] = route.endpoint
    scope["path_params"] = match.kwargs


def match_of(request: Request) -> ResolverMatch | RedirectResponse:
    """
    Return what the path leads to, or a redirect to the path with a slash.

    Raises:
        Resolver404: No pattern matches.

    Never switches.
    """
    try:
        return request.resolve()
    except Resolver404:
        path = request.path_info
        if settings.APPEND_SLASH and not path.endswith("/"):
            found = is_valid_path(f"{path}/", getattr(request, "urlconf", None))
            # False with the decorator no_append_slash.
            if found and getattr(found.func, "should_append_slash", True):
                return _with_slash(request)
        raise


async def connect(websocket: WebSocket) -> None:
    """
    Serve *websocket* with the view, or the mounted app, that its path leads to.

    Raises:
        Http404: There is none, or it is a view for HTTP.
        RuntimeError: The view neither accepted nor closed the connection.
        NotAwaitedError: The view did not await one of its calls; see `unawaited`.

    Switches to the event loop.
    """
    match = websocket.resolve()
    view: Any = match.func
    if isinstance(view, Mounted):
        app = view.at(match)
        await app(websocket.scope, websocket._receive, websocket._send)
        return
    note_route(websocket.scope, match)
    described = partial(describe_view, view)
    if not getattr(view, "is_websocket", False):
        raise Http404(
            f"{described()} is for HTTP, and got a WebSocket. If it should serve "
            f"WebSockets, decorate it with @websocket."
        )
    with refusing_unawaited(described):
        await view(websocket, *match.args, **match.kwargs)
    await finish(websocket, described)


def _with_slash(request: Request) -> RedirectResponse:
    """
    Return a permanent redirect to the same URL with a slash at its end. After 308 a
    browser sends the same method and body again.
    """
    # A URL that starts with two slashes would lead to another host.
    url = escape_leading_slashes(request.get_full_path(force_append_slash=True))
    status = 301 if request.method in ("GET", "HEAD") else 308
    return RedirectResponse(url, status)


def call_view(
    view: Callable[..., Any],
    request: Request,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] = NO_ARGUMENTS,
) -> Awaitable[AnyResponse]:
    """
    Return the response of *view*, which must be awaited. An async view is awaited, a
    plain one runs in the bridge; each in a transaction of every database with
    ATOMIC_REQUESTS.

    The body is received first, so that no connection or transaction waits for the
    client. Only an async view of the project without ATOMIC_REQUESTS gets a body that
    is neither a form nor JSON while it arrives: those of packages read `request.body`.

    Args:
        view: The view.
        request: The request.
        args, kwargs: What the URL pattern captured.

    Raises:
        TypeError: The view returned something that is not a response.
        BodyTimeout, RequestDataTooBig, ClientDisconnect: The body was not received.
        NotAwaitedError: The view did not await one of its calls; see `unawaited`.

    Switches to the event loop.
    """
    # Not the property `receive`, for it is code that runs with each request.
    body = Body.of(request.scope, request._receive)
    aliases = _atomic_databases(view)
    if body.is_absent and not aliases and not is_atomic_in_thread():
        return response_of(view, view, request, args, kwargs)
    return _call_with_body(body, aliases, view, request, args, kwargs)


async def _call_with_body(
    body: Body,
    aliases: list[str],
    view: Callable[..., Any],
    request: Request,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> AnyResponse:
    called = view
    if not body.is_absent and (
        aliases
        or not _is_async(view)
        or _is_read_whole(request)
        or _is_of_package(view)
    ):
        await body.load(request.receive)
    if not runs_in_thread(view):
        for alias in aliases:
            called = transaction.atomic(using=alias)(called)
        aliases = []
    with atomic_in_thread(aliases):
        return await response_of(called, view, request, args, kwargs)


async def response_of(
    called: Callable[..., Any],
    view: Callable[..., Any],
    request: Request,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] = NO_ARGUMENTS,
) -> AnyResponse:
    """
    Return the response of *called*, as it returns it.

    Args:
        called: The view, or a wrapper around it.
        view: The view, for messages.
        request: The request.
        args, kwargs: What the URL pattern captured.

    Raises:
        TypeError: It returned something that is not a response.
        NotAwaitedError: It did not await one of its calls; see `unawaited`.

    Switches to the event loop.
    """
    if is_watching():
        with refusing_unawaited(describe_view, view, request.method):
            response = await _result_of(called, request, args, kwargs)
    elif _is_async(called):
        # A call with unpacked arguments takes longer, even without any.
        if args or kwargs:
            response = await called(request, *args, **kwargs)
        else:
            response = await called(request)
    else:
        response = await _result_of(called, request, args, kwargs)
    scope = request.scope
    scope["vinyl.response"] = response
    if (body := scope.get("vinyl.body")) is not None:
        body.stop_replaying()
    if isinstance(response, Response) or isinstance(response, HttpResponseBase):
        return response
    raise TypeError(f"{describe_view(view, request.method)} {explain_result(response)}")


async def _result_of(
    called: Callable[..., Any],
    request: Request,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    if _is_async(called):
        return await called(request, *args, **kwargs)
    result = await run(called, request, *args, **kwargs)
    return await result if isinstance(result, Coroutine) else result


def _is_async(view: Callable[..., Any]) -> bool:
    """Return whether *view* is `async def`, or marked as such."""
    code = getattr(view, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        return True
    return iscoroutinefunction(view)


def _is_read_whole(request: Request) -> bool:
    """Return whether the body is of a type that is always read as a whole."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in FORM_TYPES or kind == "application/json" or kind.endswith("+json")


def _is_of_package(view: Callable[..., Any]) -> bool:
    """Return whether code of an installed package reads the request of *view*."""
    cls = getattr(view, "view_class", None)
    if cls is not None:
        modules = (sys.modules.get(base.__module__) for base in cls.__mro__)
        files = [getattr(module, "__file__", None) or "" for module in modules]
    else:
        called: Any = inspect.unwrap(view)
        if not hasattr(called, "__code__"):
            called = type(called).__call__
        files = [called.__code__.co_filename] if hasattr(called, "__code__") else []
    return any(owner_of(file) == PACKAGE for file in files if file)


def _atomic_databases(view: Callable[..., Any]) -> list[str]:
    """Return the databases with ATOMIC_REQUESTS, without those *view* opts out of."""
    aliases = []
    for alias, database in connections.settings.items():
        if database.get("ATOMIC_REQUESTS"):
            aliases.append(alias)
    if not aliases:
        return aliases
    exempt = getattr(view, "_non_atomic_requests", ())
    return [alias for alias in aliases if alias not in exempt]
