"""Other ASGI apps in the urlpatterns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.web.http.bodies import Body
from vinyl.web.http.lazy_user import LAZY_USER
from vinyl.web.routing.lifespan import lifespan_of

__all__ = ["Mounted", "lifespans", "mount"]

# Where the lifespan's state keeps the states of the mounted apps.
STATES = "vinyl.mounted"
# Keys of the scope that describe the outer app, where the inner one looks for its own.
OF_THE_OUTER_APP = ("app", "app_root_path", "endpoint", "route", "router")
OF_THE_OUTER_REQUEST = (
    "resolver_match",
    "vinyl.body",
    "vinyl.messages",
    "vinyl.request",
    "vinyl.response",
    LAZY_USER,
)


def mount(
    route: str, app: ASGIApp, *, name: str | None = None, csrf_exempt: bool = False
) -> MountPattern:
    """
    Return a URL pattern that sends everything below *route* to *app*, HTTP and
    WebSockets:

        urlpatterns = [mount("api/", api, name="api")]

    The app's scope has the URL of the pattern as `root_path`, what the route captured
    in `path_params`, and the `user` and `session` of the middleware, both fetched. The
    app's lifespan runs with the project's. `reverse(name)` returns the URL.

    Args:
        route: As for `path()`; empty, or with a slash at its end.
        app: Any ASGI app, such as one of Starlette, FastAPI, Litestar or Django.
        name: The name of the pattern; None for no name.
        csrf_exempt: Whether pages of other sites may post to it.

    Raises:
        ImproperlyConfigured: The route has no slash at its end, or *app* cannot be
            called.

    Never switches.
    """
    if route and not route.endswith("/"):
        raise ImproperlyConfigured(
            f"mount() was given the route {route!r}, which would match {route + 'x'!r} "
            f"as well. Write {route + '/'!r}."
        )
    if not callable(app):
        raise ImproperlyConfigured(
            f"mount({route!r}, ...) was given {app!r}, which is not an ASGI app, since "
            f"it cannot be called. Pass the application itself."
        )
    pattern = RoutePattern(route, name=name, is_endpoint=False)
    return MountPattern(pattern, cast(Any, Mounted(app, csrf_exempt)), name=name)


class Mounted:
    """
    A mounted app, in place of a view.

    Args:
        app: The ASGI app.
        csrf_exempt: Whether pages of other sites may post to it.
        rest: The part of the path below the route.
    """

    def __init__(self, app: ASGIApp, csrf_exempt: bool, rest: str = "") -> None:
        self.app = app
        self.csrf_exempt = csrf_exempt
        self.rest = rest

    def __repr__(self) -> str:
        return f"<Mounted {self.app!r}>"

    def at(self, match: ResolverMatch) -> ASGIApp:
        """Return an ASGI app that calls the app at the path of *match*."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                # Middleware may have read the body.
                receive = Body.of(scope, receive).replaying(receive)
            inner = self.scope(scope, match)
            session: Any = inner.get("session")
            if hasattr(type(session), "__await__"):
                await session
            if "user" not in inner and LAZY_USER in scope:
                inner["user"] = scope[LAZY_USER]
                await inner["user"]
            await self.app(inner, receive, send)

        return serve

    def scope(self, scope: Scope, match: ResolverMatch) -> Scope:
        """Return the scope that the app gets in place of *scope*."""
        hidden = OF_THE_OUTER_APP + OF_THE_OUTER_REQUEST
        inner = {key: value for key, value in scope.items() if key not in hidden}
        inner["vinyl.is_mounted"] = True
        # The path stays whole; its first part, without the last slash, is the root.
        inner["root_path"] = scope["path"][: -len(f"/{self.rest}")]
        inner["path_params"] = {**scope.get("path_params", {}), **match.kwargs}
        state = scope.get("state", {})
        if STATES in state:
            outer = {key: value for key, value in state.items() if key != STATES}
            inner["state"] = outer | state[STATES].get(id(self.app), {})
        return inner


class MountPattern(URLPattern):
    """A URL pattern that matches the beginning of a path."""

    callback: Any

    def resolve(self, path: str) -> ResolverMatch | None:
        if (match := self.pattern.match(path)) is None:
            return None
        rest, args, kwargs = match
        mounted: Any = Mounted(self.callback.app, self.callback.csrf_exempt, rest)
        return ResolverMatch(
            mounted,
            args,
            kwargs,
            self.name,
            route=str(self.pattern),
            captured_kwargs=kwargs,
            extra_kwargs={},
        )


def patterns(
    within: URLResolver | None = None, before: str = "/"
) -> Iterator[tuple[str, URLPattern]]:
    """Yield each pattern of the project, or *within* an include(), with its route."""
    resolver = within or get_resolver(settings.ROOT_URLCONF)
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, route)
        else:
            yield route, pattern


@asynccontextmanager
async def lifespans() -> AsyncIterator[dict[str, Any]]:
    """
    Run the lifespans of all mounted apps around the block; gives the state that
    requests get.

    Raises:
        LifespanError: An app could not start; the message has its route.

    Switches to the event loop.
    """
    states: dict[int, dict[str, Any]] = {}
    async with AsyncExitStack() as stack:
        for route, pattern in patterns():
            if not isinstance(pattern, MountPattern):
                continue
            app = pattern.callback.app
            if id(app) not in states:
                name = f"The app mounted at {route!r}, {app!r},"
                running = lifespan_of(app, name)
                states[id(app)] = await stack.enter_async_context(running)
        yield {STATES: states} if states else {}
