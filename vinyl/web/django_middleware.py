"""
Middleware of Django's kind in `settings.MIDDLEWARE`, beside pure ASGI middleware.

Entries of that kind which follow one another are one ASGI middleware. In it, each calls
the next as in Django's handler, with the request and the response as objects:

    sync code    runs in the bridge; get_response() waits there for the next one
    async code   is awaited
    the last     calls the view itself, with process_view() and the other methods of
                 all entries around it; or captures what the ASGI middleware inside
                 sends
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any, TypeAlias

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http.response import HttpResponseBase
from django.urls import get_urlconf, set_urlconf
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.bridge.blocking import not_counted, run_reporting
from vinyl.bridge.greenlets import run
from vinyl.bridge.threads import run_in_worker, runs_in_thread, wait
from vinyl.web.errors.middleware import is_unexpected, response_to
from vinyl.web.http.captured import Capture, as_response
from vinyl.web.http.django_responses import as_app
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import Response
from vinyl.web.middleware import load_middleware
from vinyl.web.routing.mounted_apps import Mounted
from vinyl.web.routing.router import call_view, match_of, note_route

__all__ = ["DjangoMiddleware", "Hooks", "RespondToView"]

logger = logging.getLogger("django.request")

# A response that middleware can change.
Answer: TypeAlias = Response | HttpResponseBase
Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Answer]]

# Ends the apps whose responses have been captured for the running request.
_captures: ContextVar[AsyncExitStack] = ContextVar("vinyl_captures")


class Hooks:
    """
    The methods of middleware that are called at the view, in Django's order:
    `process_view()` from the outermost on, the others from the innermost on.
    """

    def __init__(self) -> None:
        self.process_view: list[Callable[..., Awaitable[Any]]] = []
        self.process_template_response: list[Callable[..., Awaitable[Any]]] = []
        self.process_exception: list[Callable[..., Awaitable[Any]]] = []

    def add(self, middleware: Any, path: str) -> None:
        """
        Add the methods of *middleware*, the object outside of all that were added
        before.

        Args:
            path: Its entry in `settings.MIDDLEWARE`.

        Never switches.
        """
        for name, hooks in vars(self).items():
            if (method := getattr(middleware, name, None)) is not None:
                hook = _awaitable(method, f"{name}() of {path}")
                hooks.insert(0 if name == "process_view" else len(hooks), hook)


class DjangoMiddleware:
    """
    ASGI middleware that runs entries of `settings.MIDDLEWARE` of Django's kind.

    Args:
        app: The next ASGI app.
        paths: The entries, the outermost first.
        hooks: Gets the methods that are called at the view.
        respond: Returns the response that the innermost entry gets; None to capture
            that of *app*.

    Raises:
        ImproperlyConfigured: A middleware factory returns None.
    """

    def __init__(
        self,
        app: ASGIApp,
        paths: Sequence[str],
        hooks: Hooks,
        respond: Handler | None = None,
    ) -> None:
        self.app = app
        self.handler = answering_errors(respond or self._captured)
        for path in reversed(paths):
            self.handler = wrap(self.handler, path, hooks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request.of(scope, receive, send)
        urlconf = get_urlconf()
        async with AsyncExitStack() as captures:
            token = _captures.set(captures)
            try:
                response = await self.handler(request)
                scope["vinyl.response"] = response
                app = await as_app(response)
                await app(scope, receive, send)
            finally:
                _captures.reset(token)
                # The context may be that of the caller, as with the client for tests.
                set_urlconf(urlconf)

    async def _captured(self, request: Request) -> Answer:
        return await captured(self.app, request)


async def captured(app: ASGIApp, request: Request) -> Answer:
    """Return what *app* sends for *request*. Switches to the event loop."""
    if (response := as_response(app)) is not None:
        return response
    capture = Capture(app, request.scope, request.receive)
    _captures.get().push_async_callback(capture.end)
    return await capture.response()


def wrap(handler: Handler, path: str, hooks: Hooks) -> Handler:
    """
    Return the middleware at *path* around *handler*; *handler* itself if the middleware
    raises `MiddlewareNotUsed`.
    """
    factory = load_middleware(path)
    if in_thread := runs_in_thread(factory):
        # The mark is on a function that would run the factory in a thread.
        factory = inspect.unwrap(factory)
    # Both kinds of code work in the bridge, and there they may use the database and
    # the user of the request. In async mode, most would need threads.
    is_sync = getattr(factory, "sync_capable", True)

    def get_response(request: Request) -> Answer:
        __traceback_hide__ = True
        return wait(not_counted(handler(request)))

    try:
        middleware = factory(get_response if is_sync else handler)
    except MiddlewareNotUsed as reason:
        if settings.DEBUG:
            logger.debug("MiddlewareNotUsed(%r): %s", path, reason)
        return handler
    if middleware is None:
        raise ImproperlyConfigured(
            f"settings.MIDDLEWARE contains {path!r}, which returned None and not a "
            f"middleware. Return the function that takes the request."
        )
    hooks.add(middleware, path)

    async def handle(request: Request) -> Answer:
        if in_thread:
            call = functools.partial(middleware, request)
            response = await run_in_worker(call, path, None, path)
        elif is_sync:
            response = await run_reporting(path, middleware, request)
        else:
            response = await middleware(request)
        return checked(response, f"The middleware {path!r}")

    return answering_errors(handle)


def checked(response: Any, what: str) -> Answer:
    """
    Return *response* if it is one.

    Args:
        what: Has returned it; the subject of the error.

    Raises:
        TypeError: It is not a response.
    """
    answer = as_response(response)
    if answer is not None:
        return answer
    if isinstance(response, Coroutine):
        response.close()
    raise TypeError(
        f"{what} returned {response!r}, which is not a response. Return the response "
        f"that it was given, or another one. If the middleware is an async function, "
        f"decorate its factory with django.utils.decorators.async_only_middleware."
    )


def answering_errors(handler: Handler) -> Handler:
    """Return *handler*, whose errors become responses, as each layer's do in Django."""

    async def answering(request: Request) -> Answer:
        __traceback_hide__ = True
        try:
            return await handler(request)
        except ClientDisconnect:
            raise
        except Exception as error:
            if settings.DEBUG_PROPAGATE_EXCEPTIONS and is_unexpected(error):
                raise
            response: Any = await response_to(error, request)
            return await captured(response, request)

    return answering


def _awaitable(method: Callable[..., Any], name: str) -> Callable[..., Awaitable[Any]]:
    """Return *method* to be awaited; sync code runs in the bridge."""
    if iscoroutinefunction(method):
        return method
    return functools.partial(run_reporting, name, method)


class RespondToView:
    """
    Returns the response of the view of a request, by way of the hooks.

    Args:
        hooks: The methods of all middleware of Django's kind.
    """

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks

    async def __call__(self, request: Request) -> Answer:
        # Middleware may have changed what it depends on.
        request.scope.pop("resolver_match", None)
        if hasattr(request, "urlconf"):
            set_urlconf(request.urlconf)
        match: Any = match_of(request)
        if not hasattr(match, "func"):
            return await captured(match, request)
        if isinstance(match.func, Mounted):
            return await captured(match.func.at(match), request)
        note_route(request.scope, match)
        response = None
        for hook in self.hooks.process_view:
            if response is None:
                response = await hook(request, match.func, match.args, match.kwargs)
        if response is None:
            view = call_view(match.func, request, match.args, match.kwargs)
            response = await self._or_response_to_error(view, request)
        response = await captured(response, request)
        if callable(getattr(response, "render", None)):
            for hook in self.hooks.process_template_response:
                response = checked(
                    await hook(request, response), "A process_template_response()"
                )
            if callable(render := getattr(response, "render", None)):
                response = await self._or_response_to_error(run(render), request)
        return response

    async def _or_response_to_error(
        self, awaitable: Awaitable[Any], request: Request
    ) -> Any:
        """The result of *awaitable*, or what a process_exception() returns."""
        try:
            return await awaitable
        except Exception as error:
            for hook in self.hooks.process_exception:
                if (response := await hook(request, error)) is not None:
                    return response
            raise
