"""Recordings of requests in debug mode, and reports of what they load one by one."""

from __future__ import annotations

from django.conf import settings
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.conf import vinyl_settings
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        records = settings.DEBUG or vinyl_settings.LAZY_IN_TEMPLATES == "warn"
        if not records or scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        with recording(full=settings.DEBUG) as record:
            try:
                await self.app(scope, receive, send)
            finally:
                log_n_plus_ones(record)
