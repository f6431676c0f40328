"""
Patches that keep Django's report of an error, for pages and for email to
`settings.ADMINS`, from failing because of what it shows.

A report shows the values of all frames and the text of the error. If one of them raises
an error while it is shown, the report is made without values.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any

from django.utils.html import format_html
from django.views.debug import ExceptionReporter

from vinyl.bridge.patching import Patch

__all__ = ["TABLE"]

# Not `django.request`: its records are sent by email, and this may be one.
logger = logging.getLogger("vinyl.reports")


def patch_get_traceback_text(make: Callable[..., Any]) -> Callable[..., Any]:
    """The patch for `get_traceback_text()`: only the traceback if the report fails."""

    @functools.wraps(make)
    def get_traceback_text(self: ExceptionReporter) -> str:
        try:
            return make(self)
        except Exception as failure:
            return _without_values(self, failure)

    return get_traceback_text


def patch_get_traceback_html(make: Callable[..., Any]) -> Callable[..., Any]:
    """The patch for `get_traceback_html()`: only the traceback if the report fails."""

    @functools.wraps(make)
    def get_traceback_html(self: ExceptionReporter) -> str:
        try:
            return make(self)
        except Exception as failure:
            return format_html(
                '<!doctype html><html lang="en"><head><meta charset="utf-8">'
                "<title>{}</title></head><body><h1>{}</h1><pre>{}</pre></body></html>",
                *[getattr(self.exc_type, "__name__", "Report")] * 2,
                _without_values(self, failure),
            )

    return get_traceback_html


def _without_values(reporter: ExceptionReporter, failure: Exception) -> str:
    logger.error("An error report was made without values.", exc_info=failure)
    error: BaseException | None = reporter.exc_value
    lines = [] if error is None else traceback.format_exception(error)
    reason = "".join(traceback.format_exception_only(failure)).strip()
    lines.append(f"\nValues are missing because one could not be shown: {reason}\n")
    return "".join(lines)


_REPORTER = "django.views.debug:ExceptionReporter"

TABLE = (
    Patch(_REPORTER, "get_traceback_text", patch_get_traceback_text, inherited=True),
    Patch(_REPORTER, "get_traceback_html", patch_get_traceback_html, inherited=True),
)
