"""
Django's report of an error, for pages and for e-mail to `settings.ADMINS`, which never
fails because of what it shows.

It has the values of all frames, and the text of the error itself. Where one of them
raises when it is looked at, the report is made without values.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any

from django.utils.html import format_html
from django.views.debug import ExceptionReporter

from vinyl.bridge.patching import Row

__all__ = ["TABLE"]

# Not `django.request`: what goes there is sent by e-mail, which is being written.
logger = logging.getLogger("vinyl.reports")


def patch_text(make: Callable[..., Any]) -> Callable[..., Any]:
    """`get_traceback_text()`, with the traceback alone where all of it fails."""

    @functools.wraps(make)
    def get_traceback_text(self: ExceptionReporter) -> str:
        try:
            return make(self)
        except Exception as failure:
            return _without_values(self, failure)

    return get_traceback_text


def patch_html(make: Callable[..., Any]) -> Callable[..., Any]:
    """`get_traceback_html()`, with the traceback alone where all of it fails."""

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
    logger.error("A report is shown without values.", exc_info=failure)
    error: BaseException | None = reporter.exc_value
    lines = [] if error is None else traceback.format_exception(error)
    reason = "".join(traceback.format_exception_only(failure)).strip()
    lines.append(f"\nThe values are missing, because the report failed: {reason}\n")
    return "".join(lines)


_REPORTER = "django.views.debug:ExceptionReporter"

TABLE = (
    Row(_REPORTER, "get_traceback_text", patch_text, inherited=True),
    Row(_REPORTER, "get_traceback_html", patch_html, inherited=True),
)
