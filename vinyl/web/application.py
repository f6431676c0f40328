"""The ASGI application, made from the settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property, partial
from typing import Any, NoReturn

import django
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.urls import set_script_prefix
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.orm.contrib.task_locals import begin_request, end_request
from vinyl.orm.pools.registry import close_pools, open_pools
from vinyl.orm.routers import unit_of_work
from vinyl.web.django_middleware import DjangoMiddleware, Hooks, RespondToView
from vinyl.web.errors.logging_setup import set_up_logging, wait_for_emails
from vinyl.web.errors.middleware import ErrorMiddleware
from vinyl.web.http.bodies import Body
from vinyl.web.http.prefix import enter_prefix, forced_prefix
from vinyl.web.http.request_signals import announced, is_heard
from vinyl.web.middleware import (
    is_of_djangos_kind,
    load_middleware,
    middleware_classes,
)
from vinyl.web.recording import RecordingMiddleware
from vinyl.web.routing.lifespan import InFlight, configured_lifespans
from vinyl.web.routing.mounted_apps import lifespans
from vinyl.web.routing.router import dispatch
from vinyl.web.staticfiles.serving import StaticFilesMiddleware

__all__ = ["get_asgi_application"]

logger = logging.getLogger("django.request")

# uvicorn's reason when its shutdown cancels a request that takes too long.
SHUTDOWN_REASON = "Task cancelled, timeout graceful shutdown exceeded"


def get_asgi_application() -> Application:
    """
    Return the project's ASGI application, after setting Django up.

    A request passes the error pages and the entries of `settings.MIDDLEWARE` (pure ASGI
    or of Django's kind, the first one outermost) to the view found in
    `settings.ROOT_URLCONF`. In
    debug mode static files are served as well: before all middleware, or where
    `StaticFilesMiddleware` is listed.

    Raises:
        ImproperlyConfigured: `ROOT_URLCONF` is not set, an entry of `MIDDLEWARE` cannot
            serve, or `VINYL["LIFESPAN"]` names something that cannot be called.

    Never switches.
    """
    django.setup(set_prefix=False)
    set_up_logging()
    if not getattr(settings, "ROOT_URLCONF", None):
        raise ImproperlyConfigured(
            "settings.ROOT_URLCONF is not set, so no request can find a view. Set it "
            "to the module with your urlpatterns, such as 'mysite.urls'."
        )
    # Errors in it are raised here, not when the server starts.
    configured_lifespans()
    listed, serve = _listed_middleware()
    if settings.DEBUG and apps.is_installed("django.contrib.staticfiles"):
        classes = middleware_classes(settings.MIDDLEWARE)
        if not any(issubclass(cls, StaticFilesMiddleware) for cls in classes):
            listed.insert(0, Middleware(StaticFilesMiddleware))
    # The inner one turns errors of views into pages, which pass the middleware like
    # any response; the outer one is for errors of the middleware itself.
    requests = InFlight()
    if listed:
        listed.append(Middleware(ErrorMiddleware))
    application = Application(
        requests,
        middleware=[
            Middleware(RecordingMiddleware),
            Middleware(ErrorMiddleware, outermost=True),
            *listed,
        ],
        lifespan=partial(_lifespan, requests),
    )
    # Django's resolver gets all requests: Starlette's routes match no line breaks.
    application.router.default = serve
    return application


def _listed_middleware() -> tuple[list[Middleware], ASGIApp]:
    """
    Return the entries of `settings.MIDDLEWARE` as ASGI middleware, and the app that
    serves a request inside them: `dispatch`, within those of Django's kind that are
    listed last.
    """
    hooks = Hooks()
    serve: ASGIApp = dispatch
    listed: list[Middleware] = []
    # Entries of Django's kind that follow one another.
    paths: list[str] = []
    for path in settings.MIDDLEWARE:
        middleware = load_middleware(path)
        if is_of_djangos_kind(middleware):
            paths.append(path)
            continue
        if paths:
            listed.append(Middleware(DjangoMiddleware, paths, hooks))
            paths = []
        listed.append(Middleware(middleware))
    # Methods of entries further out are called at the view as well.
    if any(map(is_of_djangos_kind, map(load_middleware, settings.MIDDLEWARE))):
        serve = DjangoMiddleware(dispatch, paths, hooks, RespondToView(hooks))
    return listed, serve


class Application(Starlette):
    """
    Starlette's application, in which requests skip those of Starlette's own layers that
    have nothing to do.

    Each request is a unit of work that includes the middleware: after a write all of it
    reads from the primary database, and all of it sees the same prefix. The request and
    its body are released at the end.

    Args:
        requests: Counts the requests that are being served.
        options: Those of Starlette's.
    """

    def __init__(self, requests: InFlight, **options: Any) -> None:
        super().__init__(**options)
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette's method, which packages such as Sentry's replace.
        serve: ASGIApp = super().__call__
        if scope["type"] == "lifespan":
            # It lasts as long as the server, so it is not one unit of work.
            await serve(scope, receive, send)
            return
        body = None
        if scope["type"] == "http":
            body = scope["vinyl.body"] = Body(scope, receive)
            receive = body.receive
            if is_heard():
                serve = partial(announced, serve)
        self.requests.begin()
        outer_prefix = None
        values = begin_request()
        try:
            outer_prefix = enter_prefix(scope)
            if router.routers:
                with unit_of_work():
                    await serve(scope, receive, send)
            else:
                # Nothing asks what a unit of work has written to.
                await serve(scope, receive, send)
        except asyncio.CancelledError as error:
            if error.args != (SHUTDOWN_REASON,):
                raise
            # Handled here: uvicorn would log a traceback for each request.
            logger.warning("Request cancelled at shutdown: %s", scope["path"])
        finally:
            self.requests.end()
            end_request(values)
            if outer_prefix is not None:
                # The test client calls the application in the context of the test.
                set_script_prefix(outer_prefix)
            # Break the reference cycle, so that nothing waits for the collector.
            scope.pop("vinyl.request", None)
            scope.pop("vinyl.response", None)
            if body is not None:
                # Uploaded files live as long as the request.
                scope.pop("vinyl.body", None)
                if body.is_stored:
                    await body.close()

    def build_middleware_stack(self) -> ASGIApp:
        # The first releases of Starlette 1 have no limit.
        limited = getattr(self, "max_body_size", None) is not None
        customized = self.debug or bool(self.exception_handlers)
        self.exception_handlers.setdefault(HTTPException, _reraise)
        if limited or customized:
            return super().build_middleware_stack()
        app: ASGIApp = self._serve
        for cls, args, kwargs in reversed(self.user_middleware):
            app = cls(app, *args, **kwargs)
        return app

    @cached_property
    def _handling_exceptions(self) -> ASGIApp:
        return ExceptionMiddleware(self.router, self.exception_handlers, self.debug)

    def _serve(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or self.router.routes:
            return self._handling_exceptions(scope, receive, send)
        scope.setdefault("router", self.router)
        return self.router.default(scope, receive, send)


async def _reraise(request: Request, error: Exception) -> NoReturn:
    """Leave an HTTPException to the error pages; Starlette's answer is plain text."""
    raise error


@asynccontextmanager
async def _lifespan(
    requests: InFlight, app: Starlette
) -> AsyncIterator[dict[str, Any]]:
    await open_pools()
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(forced_prefix())
            state: dict[str, Any] = {}
            for own in configured_lifespans():
                state |= await stack.enter_async_context(own(app)) or {}
            state |= await stack.enter_async_context(lifespans())
            # Before the lifespans end, which the requests may still use.
            stack.push_async_callback(requests.ended)
            yield state
    finally:
        await wait_for_emails()
        await close_pools()
