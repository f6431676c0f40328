"""
Django's signals `request_started` and `request_finished`, for receivers of others.

Django's own receivers clean up what its handlers leave in a thread, so requests of
`vinyl.web` do not need them.
"""

from __future__ import annotations

import weakref
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.dispatch import Signal
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.bridge.greenlets import run

__all__ = ["announced", "is_heard"]

# The keys of Django's own receivers.
_djangos: set[Any] = set()


def is_heard() -> bool:
    """
    Return whether something else than Django receives one of the signals. Never
    switches.
    """
    for signal in (request_started, request_finished):
        for entry in signal.receivers:
            if entry[0] not in _djangos and _is_of_others(entry):
                return True
    return False


def _is_of_others(entry: Any) -> bool:
    key, receiver, *_ = entry
    if isinstance(receiver, weakref.ReferenceType):
        receiver = receiver()
    if receiver is None:
        return False
    if (getattr(receiver, "__module__", None) or "").startswith("django."):
        _djangos.add(key)
        return False
    return True


async def announced(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """
    Serve a request with *app*, and send `request_started` with its *scope* before, and
    `request_finished` afterwards, also if it fails. The receivers run in the bridge.

    Switches to the event loop.
    """
    await _send(request_started, scope=scope)
    try:
        await app(scope, receive, send)
    finally:
        await _send(request_finished)


async def _send(signal: Signal, **named: Any) -> None:
    others = Signal()
    others.receivers = [entry for entry in signal.receivers if _is_of_others(entry)]
    # The sender that receivers get from Django's handler.
    await run(others.send, ASGIHandler, **named)
