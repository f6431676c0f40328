"""The client for tests, which calls the application in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host
from starlette.applications import Starlette
from starlette.types import ASGIApp

from vinyl.web.application import get_asgi_application
from vinyl.web.routing.lifespan import lifespan_of
from vinyl.web.testing.transport import Transport
from vinyl.web.testing.websockets import WebSocketSession

__all__ = ["Client", "client"]


def own_url() -> str:
    """
    Return the URL of a host that the settings allow: "http://testserver" in tests.
    Never switches.
    """
    try:
        # With DEBUG, an empty list allows names of this machine.
        allowed = settings.ALLOWED_HOSTS or ["localhost"] * settings.DEBUG
    except ImproperlyConfigured:
        # The application is not Django's.
        allowed = []
    if not allowed or validate_host("testserver", allowed):
        return "http://testserver"
    return f"http://{allowed[0].removeprefix('.')}"


@asynccontextmanager
async def client(
    app: ASGIApp | None = None, *, base_url: str | None = None, **options: Any
) -> AsyncIterator[Client]:
    """
    Return a context manager for a `Client` of *app*, whose lifespan runs around the
    block:

        async with client() as http:
            response = await http.get("/")

    Args:
        app: The application; the project's own by default.
        base_url: As for `Client`.
        options: Further arguments for `Client`, and for `httpx.AsyncClient`.

    Raises:
        LifespanError: The application could not start.

    Switches to the event loop.
    """
    app = app or get_asgi_application()
    if isinstance(app, Starlette):
        # In the test's own task.
        lifespan = app.router.lifespan_context(app)
    else:
        lifespan = lifespan_of(app)
    async with lifespan as state:
        state = dict(state or {})
        async with Client(app, base_url=base_url, state=state, **options) as http:
            yield http


class Client(httpx.AsyncClient):
    """
    An `httpx.AsyncClient` whose requests *app* answers, in this event loop. It keeps
    cookies. `http.stream()` gives each piece of a response when the application sends
    it, and disconnects at the end of its block.

    Args:
        app: Any ASGI application. Its lifespan is not run; see `client()`.
        base_url: Scheme and host for relative URLs. By default "http://testserver",
            which Django's `setup_test_environment()` allows, and so do pytest and
            `vinyl test`; elsewhere, as in a script, the first host that
            `settings.ALLOWED_HOSTS` allows.
        raise_request_exception: Whether an error of a view is raised in the test.
            Otherwise the client gets the error page, as a visitor does.
        state: The state of the app's lifespan, for `request.state`.
        root_path: Where the application is mounted, such as "/shop".
        options: Further arguments for `httpx.AsyncClient`, such as `headers`,
            `cookies` and `follow_redirects`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        base_url: str | None = None,
        raise_request_exception: bool = True,
        state: dict[str, Any] | None = None,
        root_path: str = "",
        **options: Any,
    ) -> None:
        self.app = app
        self.transport = Transport(
            app,
            state=state,
            raise_request_exception=raise_request_exception,
            root_path=root_path,
        )
        super().__init__(
            transport=self.transport, base_url=base_url or own_url(), **options
        )

    async def login(self, **credentials: Any) -> bool:
        """
        Log in with *credentials*, as `authenticate()` takes them.

        Returns: Whether they are valid. If not, nothing changes.

        Switches to the event loop.
        """
        # Here and below: this needs the app registry, which may not be ready when this
        # module is imported.
        from vinyl.web.testing import login

        return await login.login(self, **credentials)

    async def force_login(self, user: Any, backend: str | None = None) -> None:
        """
        Log in as *user*, without a password.

        Args:
            user: The user.
            backend: Dotted path of the authentication backend to record; by default the
                one that `authenticate()` recorded, or the first of the settings.

        Switches to the event loop.
        """
        from vinyl.web.testing import login

        await login.force_login(self, user, backend)

    async def logout(self) -> None:
        """Log out, and delete the session. Switches to the event loop."""
        from vinyl.web.testing import login

        await login.logout(self)

    def websocket(
        self, url: str, *, subprotocols: Iterable[str] = (), **options: Any
    ) -> WebSocketSession:
        """
        Return a connection to the WebSocket at *url*, which is open inside the block:

            async with http.websocket("/ws/") as ws:
                await ws.send_json({"text": "Hello"})
                answer = await ws.receive_json()

        Args:
            url: The URL, absolute or relative to `base_url`.
            subprotocols: Those to offer; `ws.subprotocol` is the one that was chosen.
            options: `headers`, `params` and `cookies`, as for a request.

        Raises:
            WebSocketDenied: When the block is entered: the application refused.

        Never switches; entering the block does.
        """
        request = self.build_request("GET", url, **options)
        request.headers.update(
            {
                "connection": "upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
        )
        offered = list(subprotocols)
        if offered:
            request.headers["sec-websocket-protocol"] = ", ".join(offered)
        return WebSocketSession(self.transport, self.cookies, request, offered)
