"""
Sessions in Django's engines, loaded on first use and saved on the event loop.

Django's own SessionMiddleware decides on cookies, expiry and `Vary`; it is called just
before the headers of the response are sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from functools import cache, partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Self

from django.conf import settings
from django.contrib.sessions.backends import file, signed_cookies
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.middleware import SessionMiddleware as DjangosMiddleware
from django.http import HttpResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.bridge.greenlets import await_, in_bridge, run
from vinyl.bridge.mode import dual, runs_sync
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.contrib.blocking import patch_blocking
from vinyl.web.http.cookies import cookies_of
from vinyl.web.http.django_responses import amend_message
from vinyl.web.http.requests import Request

__all__ = ["SessionMiddleware", "session_store"]

logger = logging.getLogger("django.request")

# The methods that use the storage. Not `load`, which only the store itself calls.
_STORAGE_METHODS = ("create", "cycle_key", "delete", "exists", "flush", "save")
# Engines whose async methods call the plain ones, which nothing would await.
_WITHOUT_ASYNC = (file.SessionStore, signed_cookies.SessionStore)


class LazySession(SessionBase):
    """
    A session store that is loaded by `await request.session`, or on first use in sync
    code.

    After that, use it as in Django. It can be awaited repeatedly and returns itself.
    The methods that use the storage, such as `save()`, `flush()` and `cycle_key()`, are
    dual-mode.
    """

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        # Two tasks of a request load it once: the second load would drop the changes
        # made after the first.
        self._loading = asyncio.Lock()

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._loaded().__await__()

    async def _loaded(self) -> Self:
        await self._aget_session()
        return self

    async def _aget_session(self, no_load: bool = False) -> Any:
        if no_load or hasattr(self, "_session_cache"):
            return await super()._aget_session(no_load)  # type: ignore[misc]
        async with self._loading:
            return await super()._aget_session()  # type: ignore[misc]

    def _get_session(self, no_load: bool = False) -> Any:
        if no_load or hasattr(self, "_session_cache"):
            return super()._get_session(no_load)  # type: ignore[misc]
        if in_bridge():
            return await_(self._aget_session())
        if not runs_sync():
            # Also if there is nothing to load, so that a forgotten `await` does not
            # wait for the first visitor with a session to be noticed.
            raise NotAwaitedError(
                "request.session has not been loaded, and loading it on the event loop "
                "would block. Write `session = await request.session` before you use "
                "it in an async view; or `await request.session.aget(key)` for one "
                "value."
            )
        return super()._get_session()  # type: ignore[misc]

    _session = property(_get_session)

    def _validate_session_key(self, key: Any) -> Any:
        # A cookie may contain characters that no database accepts, such as a NUL.
        valid = super()._validate_session_key(key)  # type: ignore[misc]
        return valid and key.isprintable()


@cache
def session_store(engine: type[SessionBase]) -> Any:
    """
    Return the class of `request.session` for an engine.

    Args:
        engine: The SessionStore class of a module for `settings.SESSION_ENGINE`.

    Never switches.
    """
    methods = {name: getattr(engine, name) for name in (*_STORAGE_METHODS, "load")}
    if issubclass(engine, file.SessionStore):
        methods = {name: patch_blocking(m) for name, m in methods.items()}
    own: dict[str, Any] = {name: dual(methods[name]) for name in _STORAGE_METHODS}
    own["load"] = methods["load"]
    for name in dir(engine):
        if _uses_plain(engine, name):
            own[name] = _run_plain(name[1:])
    # The name is part of the salt that signs the data.
    names = {"__module__": engine.__module__, "__qualname__": engine.__qualname__}
    return type(engine.__name__, (LazySession, engine), names | own)


def _uses_plain(engine: type[SessionBase], name: str) -> bool:
    """
    Return whether the plain method runs in place of the async one called *name*: where
    *engine* overrides only the plain one, so that async views use the override as well;
    and in engines without async methods of their own.
    """
    plain = name[1:]
    if not name.startswith("a") or not hasattr(engine, plain):
        return False
    if issubclass(engine, _WITHOUT_ASYNC) and plain in (*_STORAGE_METHODS, "load"):
        return True
    overriding = (cls for cls in engine.__mro__ if {name, plain} & vars(cls).keys())
    return name not in vars(next(overriding))


def _run_plain(name: str) -> Any:
    def plain(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = getattr(self, name)
        # `cache_key` is a property, `acache_key()` a method.
        return found(*args, **kwargs) if callable(found) else found

    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await run(plain, self, *args, **kwargs)

    return method


class SessionMiddleware:
    """
    Give each request and WebSocket its `session`, and save changes before the response
    starts. Changes made later, by a stream or a WebSocket, are saved when it ends.

    Settings: `SESSION_ENGINE`, the module with the SessionStore;
    `SESSION_SAVE_EVERY_REQUEST`; `SESSION_COOKIE_AGE`, in seconds, and the other
    `SESSION_COOKIE_*`; `SESSION_EXPIRE_AT_BROWSER_CLOSE`.

    Raises:
        SessionInterrupted: When the response starts: another request has deleted the
            session. Answered with 400.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.rules = DjangosMiddleware(lambda request: HttpResponse())
        engine = import_module(settings.SESSION_ENGINE)
        self.SessionStore = session_store(engine.SessionStore)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http":
            cookies = Request.of(scope, receive, send).cookies
        else:
            cookies = cookies_of(scope)
        session = self.SessionStore(cookies.get(settings.SESSION_COOKIE_NAME))
        scope["session"] = session
        started = False

        async def saving(message: Message) -> None:
            nonlocal started
            if not started and message["type"] in _STARTS:
                started = True
                await self.save(_current(scope, session), cookies, message)
            await send(message)

        await self.app(scope, receive, saving)
        if started:
            await _save_late(_current(scope, session))

    async def save(
        self, session: Any, cookies: dict[str, str], message: Message
    ) -> None:
        """
        Save *session* if Django's rules ask for it, and set the headers in *message*.

        Args:
            session: The store.
            cookies: Those of the request.
            message: The ASGI message that starts the response.

        Switches to the event loop.
        """
        known = settings.SESSION_COOKIE_NAME in cookies
        if not (
            session.modified
            or settings.SESSION_SAVE_EVERY_REQUEST
            or (known and session.is_empty())
        ):
            # Nothing to save, and no cookie to set or delete.
            if not session.accessed:
                return
            headers = message.get("headers") or ()
            if not any(name == b"vary" for name, _ in headers):
                message["headers"] = [*headers, (b"vary", b"Cookie")]
                return
        request: Any = SimpleNamespace(session=session, COOKIES=cookies)
        await amend_message(message, partial(self.rules.process_response, request))
        # Changes from here on are saved after the response.
        session.modified = False


_STARTS = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.http.response.start",
    }
)


def _current(scope: Scope, session: Any) -> Any:
    """Return the session that a view may have put in place of *session*."""
    current = scope.get("session")
    return current if isinstance(current, SessionBase) else session


async def _save_late(session: Any) -> None:
    """Save changes that a WebSocket or a stream made after the headers were sent."""
    if not session.modified:
        return
    known = session.session_key
    if known is not None:
        try:
            await run(session.save)
        except UpdateError:
            # Logged out meanwhile, for example.
            logger.info(
                "A session was deleted while it was in use; its changes are lost."
            )
            return
    # The client still has the old key; with signed cookies the data is the key.
    if known is None or session.session_key != known:
        logger.warning(
            "A session was changed after the headers of the response had been sent, "
            "too late to set a cookie, so the change is lost. Change it before "
            "websocket.accept(), or before the first piece of a stream."
        )
