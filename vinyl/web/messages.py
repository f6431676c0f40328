"""
Messages for the next page that a visitor sees, kept by Django's storages.

`success(request, "Saved.")` and the rest are Django's own; adding a message waits for
nothing. It is stored just before the headers of the response go out.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.contrib.messages import (
    DEBUG,
    ERROR,
    INFO,
    SUCCESS,
    WARNING,
    add_message,
    debug,
    error,
    get_level,
    get_messages,
    info,
    set_level,
    success,
    warning,
)
from django.contrib.messages.middleware import MessageMiddleware
from django.http import HttpResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.web.http.django_responses import amended
from vinyl.web.http.requests import Request

__all__ = [
    "DEBUG",
    "ERROR",
    "INFO",
    "SUCCESS",
    "WARNING",
    "MessagesMiddleware",
    "add_message",
    "debug",
    "error",
    "get_level",
    "get_messages",
    "info",
    "set_level",
    "success",
    "warning",
]


logger = logging.getLogger("django.request")


class MessagesMiddleware:
    """
    Lets each request have messages, in the storage of `settings.MESSAGE_STORAGE`.

    Raises:
        ImproperlyConfigured: The storage keeps them in the session, and no
            SessionMiddleware comes before this one.
        ValueError: In debug mode, when the response starts: they are too many to be
            stored.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.rules = MessageMiddleware(lambda request: HttpResponse())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request: Any = Request.of(scope, receive, send)
        self.rules.process_request(request)

        stored = None

        async def storing(message: Message) -> None:
            nonlocal stored
            if message["type"] == "http.response.start":
                storage = request._messages
                if storage.used or storage.added_new:
                    amend = partial(self.rules.process_response, request)
                    await amended(message, amend)
                stored = _state(storage)
            await send(message)

        try:
            await self.app(scope, receive, storing)
            if stored is not None and _state(request._messages) != stored:
                logger.warning(
                    "Messages were added or shown after the headers of the response "
                    "had gone out: what was added is lost, what was shown is shown "
                    "again. Do so before the first piece of a stream."
                )
        finally:
            # The two hold each other.
            del request._messages


def _state(storage: Any) -> tuple[bool, int]:
    """Whether the messages have been shown, and how many have been added."""
    return storage.used, len(storage._queued_messages)
