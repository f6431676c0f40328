"""
Sessions: Django's engines, loaded when they are asked for and saved on the event loop.

What decides on cookies, expiry and `Vary` is Django's own SessionMiddleware, asked just
before the headers of the response go out.
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

from vinyl.bridge.greenlets import await_, in_bridge, run, runs_sync
from vinyl.bridge.patching import dual
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.contrib.blocking import patch_blocking
from vinyl.web.http.cookies import cookies_of
from vinyl.web.http.django_responses import amended
from vinyl.web.http.requests import Request

__all__ = ["SessionMiddleware", "session_store"]

logger = logging.getLogger("django.request")

# What waits for the storage. `load` is not among them: only the store itself calls it.
_WAITING = ("create", "cycle_key", "delete", "exists", "flush", "save")
_CALLING_PLAIN = (file.SessionStore, signed_cookies.SessionStore)


class LazySession(SessionBase):
    """
    A store that is loaded by `await request.session`, or by its first use in sync code.

    Once loaded it is used as in Django. `await` may be repeated, and gives the store.
    What waits for the storage (`save()`, `flush()`, `cycle_key()`) is dual-mode.
    """

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        # Two tasks of a request load it once: the second would undo the first's work.
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
            # Also if there is nothing to load: who forgets to await should not have to
            # wait for the first visitor with a session.
            raise NotAwaitedError(
                "request.session has not been loaded, and loading it means waiting. "
                "Write `session = await request.session` before you use it in an "
                "async view; or `await request.session.aget(key)` for one value."
            )
        return super()._get_session()  # type: ignore[misc]

    _session = property(_get_session)

    def _validate_session_key(self, key: Any) -> Any:
        # A cookie can smuggle in what no database takes, such as a NUL.
        valid = super()._validate_session_key(key)  # type: ignore[misc]
        return valid and key.isprintable()


@cache
def session_store(engine: type[SessionBase]) -> Any:
    """The class of stores of *engine* that `request.session` is."""
    methods = {name: getattr(engine, name) for name in (*_WAITING, "load")}
    if issubclass(engine, file.SessionStore):
        methods = {name: patch_blocking(m) for name, m in methods.items()}
    natively: dict[str, Any] = {name: dual(methods[name]) for name in _WAITING}
    natively["load"] = methods["load"]
    for name in dir(engine):
        if _leaves_to_plain(engine, name):
            natively[name] = _in_bridge(name[1:])
    # The name is part of the salt that signs the data.
    names = {"__module__": engine.__module__, "__qualname__": engine.__qualname__}
    return type(engine.__name__, (LazySession, engine), names | natively)


def _leaves_to_plain(engine: type[SessionBase], name: str) -> bool:
    """
    Whether the plain method serves in place of the async one called *name*: where
    *engine* has overridden the plain one only, which an async view is to heed as well;
    and in engines whose async methods call the plain ones, which nothing would await.
    """
    plain = name[1:]
    if not name.startswith("a") or not hasattr(engine, plain):
        return False
    if issubclass(engine, _CALLING_PLAIN) and plain in (*_WAITING, "load"):
        return True
    overriding = (cls for cls in engine.__mro__ if {name, plain} & vars(cls).keys())
    return name not in vars(next(overriding))


def _in_bridge(name: str) -> Any:
    def plain(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = getattr(self, name)
        # `cache_key` is a property, `acache_key()` a method.
        return found(*args, **kwargs) if callable(found) else found

    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await run(plain, self, *args, **kwargs)

    return method


class SessionMiddleware:
    """
    Gives each request and WebSocket its `session`, of `settings.SESSION_ENGINE`, and
    saves what has changed before the response starts.

    Raises, when the response starts:
        SessionInterrupted: Another request has deleted the session: 400.
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
        """Save *session* if it has to be, and set the headers in *message*."""
        known = settings.SESSION_COOKIE_NAME in cookies
        if not (session.accessed or session.modified):
            if not settings.SESSION_SAVE_EVERY_REQUEST and not (
                known and session.is_empty()
            ):
                return
        request: Any = SimpleNamespace(session=session, COOKIES=cookies)
        await amended(message, partial(self.rules.process_response, request))
        # What changes from here on is saved in the end.
        session.modified = False


_STARTS = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.http.response.start",
    }
)


def _current(scope: Scope, session: Any) -> Any:
    """The session that a view may have put in place of *session*."""
    current = scope.get("session")
    return current if isinstance(current, SessionBase) else session


async def _save_late(session: Any) -> None:
    """Save what a WebSocket or a stream has changed after the headers went out."""
    if not session.modified:
        return
    known = session.session_key
    if known is not None:
        try:
            await run(session.save)
        except UpdateError:
            # Logged out meanwhile, for example.
            logger.info("A session was deleted while it was in use; changes are lost.")
            return
    # The client has the key of before; of signed cookies the data is the key.
    if known is None or session.session_key != known:
        logger.warning(
            "A session was changed after the headers had gone out, when no cookie "
            "could be set any more; the change is lost. Make it before "
            "websocket.accept(), or before the first piece of a stream."
        )
