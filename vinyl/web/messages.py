"""
Messages for the next page that a visitor sees, kept in Django's storages.

`success(request, "Saved.")` and the other functions are Django's own and never switch.
Messages are stored just before the headers of the response are sent.
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
from django.contrib.messages.storage import default_storage
from django.http import HttpResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.web.http.django_responses import amend_message
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
    Give each request messages, and store new ones when the response starts.

    Settings: `MESSAGE_STORAGE`, the dotted path of the storage; `MESSAGE_LEVEL` and
    `MESSAGE_TAGS`. List this class after SessionMiddleware.

    Raises:
        ImproperlyConfigured: The storage uses the session, and no SessionMiddleware
            comes before this class.
        ValueError: In debug mode, when the response starts: there are more messages
            than the storage can hold.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.rules = MessageMiddleware(lambda request: HttpResponse())
        # Whether the storage class has been checked, by creating a first storage.
        self.makes_storage = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request: Any = Request.of(scope, receive, send)
        if self.makes_storage:
            # The storage is created for the first message.
            scope["vinyl.messages"] = default_storage
        else:
            self.rules.process_request(request)
            self.makes_storage = True
        started, stored = False, UNUSED

        async def storing(message: Message) -> None:
            nonlocal started, stored
            if message["type"] == "http.response.start":
                storage = vars(request).get("_messages")
                if storage is not None:
                    if storage.used or storage.added_new:
                        amend = partial(self.rules.process_response, request)
                        await amend_message(message, amend)
                    stored = _state(storage)
                started = True
            await send(message)

        try:
            await self.app(scope, receive, storing)
            storage = vars(request).get("_messages")
            if started and storage is not None and _state(storage) != stored:
                logger.warning(
                    "Messages were added or shown after the headers of the response "
                    "had been sent, so new ones are lost and old ones will be shown "
                    "again. Add and show messages before the first piece of a stream."
                )
        finally:
            # Break the reference cycle of request and storage.
            scope.pop("vinyl.messages", None)
            vars(request).pop("_messages", None)


# The state of a storage that has not been used.
UNUSED = (False, 0)


def _state(storage: Any) -> tuple[bool, int]:
    """Return whether the messages have been shown, and how many have been added."""
    return storage.used, len(storage._queued_messages)
