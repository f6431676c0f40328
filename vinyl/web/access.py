"""
An id for each request, and a line in the log for each response.

    GET /albums/5/ 200 8123 bytes, 14.2 ms, 3 queries in 4.1 ms

The lines go to the logger `vinyl.access` at level INFO. Their parts are attributes of
the log record too, for formatters that write JSON.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from contextvars import ContextVar
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.orm.recording import Recording, recording
from vinyl.web.errors.middleware import ErrorMiddleware

__all__ = ["AccessLogMiddleware", "RequestIDFilter", "request_id"]

logger = logging.getLogger("vinyl.access")

# What an id from outside may be: it is written into logs and into a header.
_VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=/@-]{0,127}")
# What needs no quoting, as most paths.
_PLAIN = re.compile(r"[A-Za-z0-9_.~/:@!$&'()*+,;=-]*")
# In characters; more of a path is not logged.
MAX_PATH = 2000

# The id of the request that the running code serves; empty outside of requests.
request_id: ContextVar[str] = ContextVar("vinyl_request_id", default="")


class AccessLogMiddleware:
    """
    Give each request an id, and log a line when it has been answered: method, path,
    status, size, time, number of queries and their total time.

    The id is the value of the header `X-Request-ID` if that consists of at most 128
    letters, digits and punctuation characters of ids, otherwise a new UUID. It is
    available as `request.id` and sent back in the same header, and `RequestIDFilter`
    adds it to every log record of the request. A WebSocket gets an id, but no line.

    The log record has the attributes `method`, `path`, `status` (0 if no response
    started), `size` in bytes, `duration` and `queries_duration` in seconds, `queries`,
    and `client`, the address or None.

    List this class first, so that it sees every response. It reads no settings.
    """

    def __init__(self, app: ASGIApp) -> None:
        # Errors of the inner middleware become pages here, so that they are logged.
        self.app = ErrorMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = ""
        for header, value in scope["headers"]:
            if header == b"x-request-id":
                given = value.decode("latin-1")
                break
        name = given if _VALID_ID.fullmatch(given) else uuid.uuid4().hex
        scope["vinyl.request_id"] = name
        token = request_id.set(name)
        try:
            if scope["type"] == "http":
                await self._logged(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            request_id.reset(token)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, size, complete = 0, 0, False

        async def send_measured(message: Message) -> None:
            nonlocal status, size, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [
                    header
                    for header in message.get("headers", ())
                    if header[0] != b"x-request-id"
                ]
                name = scope["vinyl.request_id"].encode("ascii")
                message["headers"] = [*headers, (b"x-request-id", name)]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
                complete = not message.get("more_body", False)
            elif message["type"] == "http.response.pathsend":
                # The server sends the file itself.
                complete = True
            await send(message)

        started = time.perf_counter()
        outcome = ""
        with recording() as record:
            try:
                await self.app(scope, receive, send_measured)
            except asyncio.CancelledError:
                outcome = ", cancelled"
                raise
            except BaseException:
                outcome = ", interrupted"
                raise
            finally:
                seconds = time.perf_counter() - started
                if not complete and not outcome:
                    outcome = ", unanswered" if not status else ", incomplete"
                if logger.isEnabledFor(logging.INFO):
                    log_response(scope, status, size, seconds, record, outcome)


def log_response(
    scope: Scope,
    status: int,
    size: int,
    seconds: float,
    record: Recording,
    outcome: str,
) -> None:
    """
    Log the line of a response.

    Args:
        status: The status code; 0 if no response started.
        size: The size of the body, in bytes.
        seconds: The time that the response took.
        record: The recording of its queries.
        outcome: A note about an error, at the end of the line; "" if there was none.
    """
    method, path = quoted(scope["method"]), quoted(scope["path"])
    logger.info(
        "%s %s %s %d bytes, %.1f ms, %d %s in %.1f ms%s",
        method,
        path,
        status or "-",
        size,
        seconds * 1000,
        record.count,
        "query" if record.count == 1 else "queries",
        record.seconds * 1000,
        outcome,
        extra={
            "method": method,
            "path": path,
            "status": status,
            "size": size,
            "duration": seconds,
            "queries": record.count,
            "queries_duration": record.seconds,
            "client": (scope.get("client") or [None])[0],
        },
    )


def quoted(text: str) -> str:
    """
    Return *text* percent-encoded, so that it cannot begin a new line of the log, or
    imitate another part of the line.
    """
    if len(text) > MAX_PATH:
        text = f"{text[:MAX_PATH]}…"
    if _PLAIN.fullmatch(text):
        return text
    return quote(text, safe="/:@!$&'()*+,;=~", errors="surrogatepass")


class RequestIDFilter(logging.Filter):
    """
    A logging filter that adds the attribute `request_id` to log records, for
    formatters. It is "-" outside of requests.

        LOGGING = {
            "filters": {"request_id": {"()": "vinyl.web.access.RequestIDFilter"}},
            "handlers": {"console": {..., "filters": ["request_id"]}},
            ...
        }
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get() or "-"
        return True
