"""
What reports of errors, pages and email, leave out, and how they show the rest.

Looking at a value must neither fail nor fetch anything. So values are recognised by
their own type: `isinstance()` asks a lazy object for the class of its value.
"""

from __future__ import annotations

import functools
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.views.debug import (
    SafeExceptionReporterFilter,
    get_default_exception_reporter_filter,
)
from starlette.datastructures import FormData, Headers
from starlette.types import Scope

from vinyl.web.http.reading import ReadableRequest, django_request

__all__ = ["make_readable", "report_filter", "safe_text"]


def safe_text(value: object) -> str:
    """
    Return `str(value)`, or a placeholder that names its class if that raises: the text
    of an error may contain a lazy attribute that has not been fetched. Never raises and
    never switches.
    """
    try:
        return str(value)
    except Exception as failure:
        cls, why = type(value).__qualname__, type(failure).__qualname__
        return f"<{cls} whose text cannot be shown: {why}>"


class Unshowable:
    """
    The placeholder in a report for a value that cannot be shown.

    Args:
        value: The value.
        error: What was raised when it was looked at.
    """

    def __init__(self, value: Any, error: Exception) -> None:
        cls = type(value)
        self.text = f"<{cls.__module__}.{cls.__qualname__} object at {id(value):#x}, "
        self.text += f"which raises {type(error).__qualname__} when it is shown>"

    def __repr__(self) -> str:
        return self.text


class RedactionMixin:
    """Extends Django's filter to the variables of ASGI and of Starlette."""

    def cleanse_special_types(self, request: Any, value: Any) -> Any:
        try:
            return self._redacted(request, value)
        except Exception as error:
            return Unshowable(value, error)

    def _redacted(self, request: Any, value: Any) -> Any:
        kind = type(value)
        if kind is dict and "headers" in value and "path" in value:
            # Cookies, and the request's session and user.
            return f"<the scope of {value.get('method', 'WebSocket')} {value['path']}>"
        if issubclass(kind, Headers):
            return self._redacted_headers(value)
        if issubclass(kind, FormData):
            return self._redacted_form(request, value)
        return super().cleanse_special_types(request, value)  # type: ignore[misc]

    def _redacted_headers(self: Any, headers: Headers) -> dict[str, Any]:
        # Django's patterns are made for the names in `request.META`.
        return {
            name: self.cleanse_setting(f"HTTP_{name.upper()}", value)
            for name, value in headers.items()
        }

    def _redacted_form(self: Any, request: Any, form: FormData) -> FormData:
        hidden = getattr(request, "sensitive_post_parameters", ())
        if not hidden or not self.is_active(request):
            return form
        stars = self.cleansed_substitute
        return FormData(
            [
                (name, stars if hidden == "__ALL__" or name in hidden else value)
                for name, value in form.multi_items()
            ]
        )


def report_filter() -> SafeExceptionReporterFilter:
    """
    Return an instance of `settings.DEFAULT_EXCEPTION_REPORTER_FILTER` that also redacts
    the scope, the headers and the forms of Starlette. Never switches.
    """
    cls: Any = type(get_default_exception_reporter_filter())
    return _extended(cls)()


@functools.cache
def _extended(cls: type) -> Any:
    return type(cls.__name__, (RedactionMixin, cls), {"__module__": cls.__module__})


def make_readable(request: ReadableRequest) -> None:
    """
    Let a report read *request* without waiting and without an error: a form that nobody
    has read stays unread, and malformed parts are empty. Never switches.
    """
    known = vars(request)
    if request._form is None:
        known.setdefault("_post", QueryDict())
        known.setdefault("_files", MultiValueDict())
    try:
        request.META  # noqa: B018
    except Exception:
        known["django_request"] = _without_malformed(request.scope)
    try:
        request.GET  # noqa: B018
    except Exception:
        known["GET"] = QueryDict()
    try:
        request.POST  # noqa: B018
    except Exception:
        known["_post"], known["_files"] = QueryDict(), MultiValueDict()


def _without_malformed(scope: Scope) -> ASGIRequest:
    """Django's request of *scope*, without the parts that may be malformed."""
    headers = [(name, value) for name, value in scope["headers"] if b"type" not in name]
    return django_request({**scope, "headers": headers, "query_string": b""})
