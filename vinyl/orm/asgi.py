"""
Django's own ASGI handler with its sync code in the bridge, for `asgi.py`:

    from vinyl.orm.asgi import get_asgi_application

    application = get_asgi_application()

Sync middleware and sync views run on the event loop and wait for the database without a
thread. `VINYL = {"DJANGO_HANDLER": "bridge"}` has the same effect on the handler of
`django.core.asgi`, and on Django's test client.
"""

from __future__ import annotations

import logging

import django
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler

from vinyl.bridge.threads import in_thread
from vinyl.orm.contrib.handlers import middleware_with_thread_locals

__all__ = ["get_asgi_application", "in_thread"]

logger = logging.getLogger("vinyl.orm")


class BridgedASGIHandler(ASGIHandler):
    """Django's handler for ASGI, with its sync code in the bridge."""

    is_bridged = True


def get_asgi_application() -> ASGIHandler:
    """
    Return Django's ASGI application, in which sync middleware and sync views run in the
    bridge. What is decorated with `in_thread` runs in a thread, as in Django. Async
    middleware and async views run as in Django.

    Logs a warning for each middleware that keeps state in a `threading.local`, which
    requests would share.

    Raises:
        ImproperlyConfigured: "vinyl.orm" is not in `INSTALLED_APPS`.

    Never switches.
    """
    django.setup(set_prefix=False)
    if not apps.is_installed("vinyl.orm"):
        raise ImproperlyConfigured(
            "vinyl.orm.asgi.get_asgi_application() was called, but INSTALLED_APPS does "
            "not contain 'vinyl.orm', so sync code has no bridge to run in. Add "
            "'vinyl.orm' to INSTALLED_APPS as the first entry."
        )
    for path in middleware_with_thread_locals():
        logger.warning(
            "settings.MIDDLEWARE contains %r, whose module keeps state in a "
            "threading.local. Requests in the bridge share one thread, so one request "
            "would see the state of another. Use a version that keeps it in a "
            "contextvars.ContextVar, or Django's own handler, where each request has a "
            "thread.",
            path,
        )
    return BridgedASGIHandler()
