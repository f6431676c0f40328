"""What reports of errors, pages and e-mail, leave out."""

from __future__ import annotations

import functools
from typing import Any

from django.views.debug import (
    SafeExceptionReporterFilter,
    get_default_exception_reporter_filter,
)
from starlette.datastructures import FormData, Headers

__all__ = ["report_filter"]


class CleansingMixin:
    """Django's filter, which knows the variables of ASGI and of Starlette as well."""

    def cleanse_special_types(self, request: Any, value: Any) -> Any:
        if type(value) is dict and "headers" in value and "path" in value:
            # Cookies, and the request's session and user.
            return f"<the scope of {value.get('method', 'WebSocket')} {value['path']}>"
        if isinstance(value, Headers):
            return self._cleansed_headers(value)
        if isinstance(value, FormData):
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
