"""Serving the pages that a test brings, in its own event loop."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="assignment"

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import httpx
import jinja2
import uvicorn
from django.test import override_settings

from vinyl.web import get_asgi_application
from vinyl.web.testing import Client, client


def templates(**options: Any) -> dict[str, Any]:
    """
    A setting for TEMPLATES with the texts in `files`, a dict by name.

    *options* are OPTIONS of the engine.
    """
    options["loader"] = jinja2.DictLoader(options.pop("files"))
    return {
        "TEMPLATES": [
            {"BACKEND": "vinyl.web.templating.Jinja2", "OPTIONS": options},
        ]
    }


def settings_for(urlpatterns: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """The settings of a production site with *urlpatterns*, and with *settings*."""
    urlconf = ModuleType("tests.pages")
    urlconf.urlpatterns = list(urlpatterns)  # type: ignore[attr-defined]
    return override_settings(
        **{"ROOT_URLCONF": urlconf, "ALLOWED_HOSTS": ["testserver"], **settings}
    )


@asynccontextmanager
async def serving(
    *urlpatterns: Any, raising: bool = False, **settings: Any
) -> AsyncIterator[Client]:
    """
    A client of the application that serves *urlpatterns* under *settings*.

    It gets the error page of a view that fails, unless *raising*.
    """
    with settings_for(urlpatterns, settings):
        async with client(raise_request_exception=raising) as http:
            yield http


@asynccontextmanager
async def serving_on_a_socket(
    *urlpatterns: Any, ws: Any = "none", root_path: str = "", **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """
    The same through uvicorn and TCP, in this loop. *ws* and *root_path* are uvicorn's
    options.
    """
    settings.setdefault("ALLOWED_HOSTS", ["127.0.0.1"])
    with settings_for(urlpatterns, settings), socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            get_asgi_application(),
            log_level="error",
            lifespan="on",
            ws=ws,
            root_path=root_path,
        )
        server = uvicorn.Server(config)
        # Signals belong to the test run.
        server.capture_signals = contextlib.nullcontext
        task = asyncio.create_task(server.serve([sock]))
        while not server.started:
            assert not task.done()
            await asyncio.sleep(0.01)
        host, port = sock.getsockname()
        limits = httpx.Limits(max_connections=None)
        try:
            async with httpx.AsyncClient(
                base_url=f"http://{host}:{port}",
                limits=limits,
                timeout=60,
                trust_env=False,
            ) as http:
                yield http
        finally:
            server.should_exit = True
            await task
