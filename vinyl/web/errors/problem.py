"""
The first step of the pass: what an error means for the response.

A problem, in the sense of RFC 9457, has a status, a title and a detail. All later steps
read it and none looks at the error's class again. Making one never fails, whatever the
error's attributes and its text do when they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DataError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.urls import Resolver404
from starlette.exceptions import HTTPException

from vinyl.web.http.bodies import Body
from vinyl.web.http.redaction import safe_text
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import reason_phrase

__all__ = ["Problem", "preferred_media_type"]


MEDIA_TYPES = ["text/html", "text/plain", "application/json"]


@dataclass(frozen=True, slots=True)
class Problem:
    """
    An error together with the answer that it asks for.

    Attributes:
        error: The error; for a group that has one answer, the error that gives it.
        status: The HTTP status.
        title: The phrase that HTTP has for the status, such as "Not Found".
        reason: What the error says, for the log; empty if it only repeats the title.
        detail: What the client may read: the `detail` of an `HTTPException`, or the
            messages of a `ValidationError` for a client that asks for JSON, else "".
        headers: The headers of an `HTTPException`, or None.
        media_type: "text/html", "text/plain" or "application/json", as the client
            prefers.
    """

    error: Exception
    status: int
    title: str
    reason: str
    detail: Any
    headers: Mapping[str, str] | None
    media_type: str

    @classmethod
    def of(cls, error: Exception, request: Request | None = None) -> Self:
        """
        Return the problem that *error* stands for. Never raises and never switches.

        Args:
            request: The request that failed, which may be to blame; None for a
                WebSocket, or where there will be no response.
        """
        error = _unwrapped(error)
        media_type = "text/html"
        if request is not None:
            error = _blamed(error, request)
            media_type = preferred_media_type(request)
        status = _status_of(error)
        if isinstance(error, ValidationError) and media_type == "application/json":
            status = 422
        title = reason_phrase(status)
        reason: str = ""
        detail: Any = ""
        headers: Mapping[str, str] | None = None
        match error:
            case HTTPException():
                headers = getattr(error, "headers", None)
                detail = getattr(error, "detail", "")
                reason = safe_text(detail)
                if reason == title:
                    detail = reason = ""
            case Resolver404():
                # Its text is the list of patterns that were tried.
                pass
            case ValidationError() if status == 422:
                detail = _messages_of(error)
                reason = safe_text(detail)
            case Http404() | PermissionDenied() | BadRequest() | SuspiciousOperation():
                reason = safe_text(error)
        return cls(error, status, title, reason, detail, headers, media_type)


def preferred_media_type(request: Request) -> str:
    """
    Return "text/html", "text/plain" or "application/json", whichever the client
    prefers; HTML if its `Accept` header is missing or malformed. Never raises and never
    switches.
    """
    try:
        return request.get_preferred_type(MEDIA_TYPES) or "text/html"
    except ValueError:
        return "text/html"


def _status_of(error: Exception) -> int:
    match error:
        case HTTPException(status_code=int(status)):
            return status
        case Http404():
            return 404
        case PermissionDenied():
            return 403
        case RequestDataTooBig():
            return 413
        case BadRequest() | SuspiciousOperation() | MultiPartParserError():
            return 400
    return 500


def _messages_of(error: ValidationError) -> Any:
    """The messages of *error*: a list for each field, or one list without fields."""
    try:
        if hasattr(error, "error_dict"):
            return {name: list(texts) for name, texts in error.message_dict.items()}
        return list(error.messages)
    except Exception:
        return ""


def _unwrapped(error: Exception) -> Exception:
    """
    The only error in a group, as a `TaskGroup` raises it, or the first one if all of
    them have the same status other than 500; any other error as it is.
    """
    if not isinstance(error, ExceptionGroup):
        return error
    found = list(_leaves(error))
    statuses = {_status_of(leaf) for leaf in found}
    alike = len(statuses) == 1 and statuses.isdisjoint({500})
    return found[0] if len(found) == 1 or alike else error


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _blamed(error: Exception, request: Request) -> Exception:
    """
    *error*, or a `BadRequest` if PostgreSQL refused a NUL that came with the request:
    that is the client's mistake.
    """
    if isinstance(error, (DataError, ValueError)) and "NUL (0x00)" in safe_text(error):
        if _brings_nul(request):
            refusal = BadRequest(
                "The request contains a NUL character, which PostgreSQL cannot store."
            )
            refusal.__cause__ = error
            return refusal
    return error


def _brings_nul(request: Request) -> bool:
    """Whether what has been read of *request* contains a NUL."""
    form = request._form.multi_items() if request._form else ()
    return (
        b"%00" in request.scope["query_string"]
        or b"\\u0000" in (Body.of(request.scope, request.receive).bytes or b"")
        or any("\0" in name or "\0" in str(value) for name, value in form)
    )
