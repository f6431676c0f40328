"""
What reports of errors, pages and e-mail, leave out, and how they show the rest.

Looking at a value must neither fail nor fetch anything. So values are recognised by
their own type: `isinstance()` asks a lazy object for the class of what it stands for.
"""

from __future__ import annotations

import functools
from typing import Any

from django.views.debug import (
    SafeExceptionReporterFilter,
    get_default_exception_reporter_filter,
)
from starlette.datastructures import FormData, Headers

__all__ = ["report_filter"]


class Unshowable:
    """
    Stands in a report for a value that cannot be looked at.

    Args:
        value: That value.
        error: What looking at it raised.
    """

    def __init__(self, value: Any, error: Exception) -> None:
        cls = type(value)
        self.text = f"<{cls.__module__}.{cls.__qualname__} object at {id(value):#x}, "
        self.text += f"which raises {type(error).__qualname__} when it is shown>"

    def __repr__(self) -> str:
        return self.text


class CleansingMixin:
    """Django's filter, which knows the variables of ASGI and of Starlette as well."""

    def cleanse_special_types(self, request: Any, value: Any) -> Any:
        try:
            return self._cleansed(request, value)
        except Exception as error:
            return Unshowable(value, error)

    def _cleansed(self, request: Any, value: Any) -> Any:
        kind = type(value)
        if kind is dict and "headers" in value and "path" in value:
            # Cookies, and the request's session and user.
            return f"<the scope of {value.get('method', 'WebSocket')} {value['path']}>"
        if issubclass(kind, Headers):
            return self._cleansed_headers(value)
        if issubclass(kind, FormData):
            return self._cleansed_form(request, value)
        return super().cleanse_special_types(request, value)  # type: ignore[misc]

    def _cleansed_headers(self: Any, headers: Headers) -> dict[str, Any]:
        # Their names in `request.META` are what Django's patterns are made for.
        return {
            name: self.cleanse_setting(f"HTTP_{name.upper()}", value)
            for name, value in headers.items()
        }

    def _cleansed_form(self: Any, request: Any, form: FormData) -> FormData:
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
    """That of `settings.DEFAULT_EXCEPTION_REPORTER_FILTER`, extended."""
    cls: Any = type(get_default_exception_reporter_filter())
    return _extended(cls)()


@functools.cache
def _extended(cls: type) -> Any:
    return type(cls.__name__, (CleansingMixin, cls), {"__module__": cls.__module__})
