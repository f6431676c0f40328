"""
Django's own ASGI handler with its sync code in the bridge, for `asgi.py`:

    from vinyl.orm.asgi import get_asgi_application

    application = get_asgi_application()

Sync middleware and sync views run on the event loop and wait for the database without a
thread. `VINYL = {"DJANGO_HANDLER": "bridge"}` has the same effect on the handler of
`django.core.asgi`, and on Django's test client.

With middleware and a URLconf of its own, the application can be mounted in one of
`vinyl.web`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf

from vinyl.bridge.threads import in_thread
from vinyl.orm.contrib.thread_locals import middleware_with_thread_locals

__all__ = ["get_asgi_application", "in_thread"]

logger = logging.getLogger("vinyl.orm")


class BridgedASGIHandler(ASGIHandler):
    """
    Django's handler for ASGI, with its sync code in the bridge.

    Args:
        middleware: Used in place of `settings.MIDDLEWARE`, if not None.
        urlconf: Used in place of `settings.ROOT_URLCONF`, if not None.
    """

    is_bridged = True

    def __init__(
        self, middleware: Sequence[str] | None = None, urlconf: str | None = None
    ) -> None:
        self.middleware = middleware
        self.urlconf = urlconf
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        listed = settings.MIDDLEWARE
        if self.middleware is not None:
            settings.MIDDLEWARE = self.middleware
        try:
            super().load_middleware(is_async)
        finally:
            if self.middleware is not None:
                settings.MIDDLEWARE = listed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Django sets them and leaves them, in the context of the outer application.
        prefix, urlconf = get_script_prefix(), get_urlconf()
        try:
            await super().__call__(scope, receive, send)
        finally:
            set_script_prefix(prefix)
            set_urlconf(urlconf)

    def create_request(self, scope: Any, body_file: Any) -> Any:
        request, error_response = super().create_request(scope, body_file)
        if request is not None and self.urlconf is not None:
            request.urlconf = self.urlconf
        return request, error_response


def get_asgi_application(
    *, middleware: Sequence[str] | None = None, urlconf: str | None = None
) -> BridgedASGIHandler:
    """
    Return Django's ASGI application, in which sync middleware and sync views run in the
    bridge. What is decorated with `in_thread` runs in a thread, as in Django. Async
    middleware and async views run as in Django.

    Logs a warning for each middleware that keeps state in a `threading.local`, which
    requests would share.

    Args:
        middleware: Dotted paths, used in place of `settings.MIDDLEWARE`; None to use
            that setting. `vinyl.web` has other middleware there.
        urlconf: The dotted path of a URLconf, used in place of `settings.ROOT_URLCONF`;
            None to use that setting.

    Raises:
        ImproperlyConfigured: "vinyl.orm" is not in `INSTALLED_APPS`, or a middleware
            cannot be used.
        ImportError: A middleware cannot be imported.

    Never switches.
    """
    django.setup(set_prefix=False)
    if not apps.is_installed("vinyl.orm"):
        raise ImproperlyConfigured(
            "vinyl.orm.asgi.get_asgi_application() was called, but INSTALLED_APPS does "
            "not contain 'vinyl.orm', so sync code has no bridge to run in. Add "
            "'vinyl.orm' to INSTALLED_APPS as the first entry."
        )
    where, paths = "settings.MIDDLEWARE", settings.MIDDLEWARE
    if middleware is not None:
        where, paths = "The argument middleware", middleware
    for path, module in middleware_with_thread_locals(paths):
        logger.warning(
            "%s contains %r, whose state is in a threading.local of %r. Requests in "
            "the bridge share one thread, so one request would see the state of "
            "another. Add that threading.local to VINYL['TASK_LOCALS'], as "
            "'%s.its_name', use a version that keeps the state in a "
            "contextvars.ContextVar, or Django's own handler, where each request has a "
            "thread.",
            where,
            path,
            module,
            module,
        )
    return BridgedASGIHandler(middleware, urlconf)
