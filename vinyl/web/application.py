"""The ASGI application, made from the settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import django
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.orm.pools.registry import close_pools, open_pools
from vinyl.orm.routers import unit_of_work
from vinyl.web.errors.logs import mails_sent, set_up_logging
from vinyl.web.errors.middleware import ErrorMiddleware
from vinyl.web.http.bodies import Body
from vinyl.web.http.prefix import below_prefix, forced_prefix
from vinyl.web.recording import RecordingMiddleware
from vinyl.web.routing.lifespan import InFlight, configured_lifespans
from vinyl.web.routing.mounted_apps import lifespans
from vinyl.web.routing.router import dispatch
from vinyl.web.staticfiles.serving import StaticFilesMiddleware

__all__ = ["get_asgi_application"]

logger = logging.getLogger("django.request")

# What uvicorn says when it cancels a request that its shutdown has waited for.
OF_UVICORN = "Task cancelled, timeout graceful shutdown exceeded"

# Django's middleware classes and others of their kind wrap Django's own handler; these
# serve in their place. None: what they do has no counterpart here yet, or needs none.
REPLACEMENTS: dict[str, str | None] = {
    "django.middleware.security.SecurityMiddleware": (
        "vinyl.web.security.SecurityMiddleware"
    ),
    "django.middleware.clickjacking.XFrameOptionsMiddleware": (
        "vinyl.web.security.SecurityMiddleware"
    ),
    "django.middleware.csrf.CsrfViewMiddleware": "vinyl.web.csrf.CSRFMiddleware",
    "django.middleware.gzip.GZipMiddleware": (
        "starlette.middleware.gzip.GZipMiddleware"
    ),
    "django.middleware.http.ConditionalGetMiddleware": (
        "vinyl.web.conditional.ConditionalGetMiddleware"
    ),
    "django.middleware.locale.LocaleMiddleware": "vinyl.web.i18n.LocaleMiddleware",
    # Slashes are appended by the router.
    "django.middleware.common.CommonMiddleware": None,
    "corsheaders.middleware.CorsMiddleware": "vinyl.web.cors.CORSMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware": (
        "vinyl.web.staticfiles.StaticFilesMiddleware"
    ),
    "django.middleware.csp.ContentSecurityPolicyMiddleware": (
        "vinyl.web.security.SecurityMiddleware"
    ),
    "django.contrib.sessions.middleware.SessionMiddleware": (
        "vinyl.web.sessions.SessionMiddleware"
    ),
    "django.contrib.auth.middleware.AuthenticationMiddleware": (
        "vinyl.web.auth.AuthenticationMiddleware"
    ),
    "django.contrib.auth.middleware.LoginRequiredMiddleware": (
        "vinyl.web.auth.LoginRequiredMiddleware"
    ),
    "django.contrib.messages.middleware.MessageMiddleware": (
        "vinyl.web.messages.MessagesMiddleware"
    ),
}


def get_asgi_application() -> Starlette:
    """
    Return the project's ASGI application; sets Django up first.

    A request passes the error pages, the classes of `settings.MIDDLEWARE` (pure ASGI,
    the first one outermost), and is sent to the view that `settings.ROOT_URLCONF`
    names. In debug mode the static files are served, too: before all middleware, or
    where `StaticFilesMiddleware` is listed.

    Raises:
        ImproperlyConfigured: A setting is missing or names what cannot serve here.
    """
    django.setup(set_prefix=False)
    set_up_logging()
    if not getattr(settings, "ROOT_URLCONF", None):
        raise ImproperlyConfigured(
            "settings.ROOT_URLCONF is not set, so no request can find a view. Set it "
            "to the module with your urlpatterns, such as 'mysite.urls'."
        )
    # What is wrong with it is told here, not when the server starts.
    configured_lifespans()
    listed = [_middleware(path) for path in settings.MIDDLEWARE]
    if settings.DEBUG and apps.is_installed("django.contrib.staticfiles"):
        if not any(_serves_static_files(middleware.cls) for middleware in listed):
            listed.insert(0, Middleware(StaticFilesMiddleware))
    # The inner one makes pages of the views' errors, which then pass the middleware
    # like any response; the outer one is for errors of the middleware itself.
    requests = InFlight()
    application = Starlette(
        middleware=[
            Middleware(UnitOfWorkMiddleware, requests),
            Middleware(RecordingMiddleware),
            Middleware(ErrorMiddleware, outermost=True),
            *listed,
            Middleware(ErrorMiddleware),
        ],
        exception_handlers={HTTPException: _reraise},
        lifespan=partial(_lifespan, requests),
    )
    # All requests are Django's resolver's: Starlette's routes match no line breaks.
    application.router.default = dispatch
    return application


class UnitOfWorkMiddleware:
    """
    Makes each request a unit of work, the middleware that it passes included: what
    one has written is read from the primary by all that follow, and all of them see the
    same prefix. Lets go of the request in the end, and of its body, which they share.

    Args:
        requests: Counts them.
    """

    def __init__(self, app: ASGIApp, requests: InFlight) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # What starts with the server is no single piece of work.
            await self.app(scope, receive, send)
            return
        body = None
        if scope["type"] == "http":
            body = scope["vinyl.body"] = Body(scope, receive)
            receive = body.receive
        try:
            with self.requests, unit_of_work(), below_prefix(scope):
                await self.app(scope, receive, send)
        except asyncio.CancelledError as error:
            if error.args != (OF_UVICORN,):
                raise
            # To the whole task, at shutdown; uvicorn would log where each one was.
            logger.warning("Cut off by the shutdown: %s", scope["path"])
        finally:
            # The two hold each other; nobody should wait for the garbage collector.
            scope.pop("vinyl.request", None)
            scope.pop("vinyl.response", None)
            if body is not None:
                # Uploaded files live as long as the request.
                scope.pop("vinyl.body", None)
                await body.close()


async def _reraise(request: Request, error: Exception) -> NoReturn:
    """Leave an HTTPException to the error pages; Starlette's answer is plain text."""
    raise error


def _serves_static_files(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, StaticFilesMiddleware)


def _middleware(path: str) -> Middleware:
    if path.startswith("django.") or path in REPLACEMENTS:
        replacement = REPLACEMENTS.get(path)
        remedy = f"Use {replacement!r}." if replacement else "Remove it."
        raise ImproperlyConfigured(
            f"settings.MIDDLEWARE contains {path!r}, which works with Django's own "
            f"request handler only; vinyl.web needs pure ASGI middleware. {remedy}"
        )
    try:
        cls: Any = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"settings.MIDDLEWARE contains {path!r}, which cannot be imported: {error}"
        ) from error
    return Middleware(cls)


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
            # Before all that they may use comes to its end.
            stack.push_async_callback(requests.ended)
            yield state
    finally:
        await mails_sent()
        await close_pools()
