"""Recordings of requests in debug mode, and reports of what they load one by one."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.conf import django_setting, vinyl_settings
from vinyl.orm.observe.n_plus_one import log_n_plus_ones
from vinyl.orm.recording import recording

__all__ = ["RecordingMiddleware"]


class RecordingMiddleware:
    """
    Pure ASGI middleware that records the queries of each request in full in debug mode
    (`vinyl.orm.recording.current_recording()`), and logs which lines loaded the same
    relation again and again when the request ends.

    If `VINYL["LAZY_IN_TEMPLATES"]` is "warn", it also records in production, but not in
    full, so that each line is logged once per request.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        debug = django_setting("DEBUG")
        records = debug or vinyl_settings.LAZY_IN_TEMPLATES == "warn"
        if not records or scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        return self._recorded(scope, receive, send, full=debug)

    async def _recorded(
        self, scope: Scope, receive: Receive, send: Send, *, full: bool
    ) -> None:
        with recording(full=full) as record:
            try:
                await self.app(scope, receive, send)
            finally:
                log_n_plus_ones(record)
