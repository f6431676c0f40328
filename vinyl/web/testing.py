"""An HTTP client for tests, which talks to the application in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from vinyl.web.application import get_asgi_application

__all__ = ["client"]


@asynccontextmanager
async def client(
    app: Starlette | None = None, *, base_url: str = "http://testserver", **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """
    An `httpx.AsyncClient` for *app*, whose lifespan runs around it:

        async with client() as http:
            response = await http.get("/")

    Args:
        app: The application; the project's own if none is given.
        base_url: Scheme and host that relative URLs start with. Django's
            `setup_test_environment()` allows the default host.
        options: Further arguments for `httpx.AsyncClient`.
    """
    app = app or get_asgi_application()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url=base_url, **options
        ) as http:
            yield http
