"""
What templates have for translated and localised text, and Django's filters.

Jinja2's own filters keep their names and meanings. All other filters of Django are
here, those of humanize, `localize` and the ones for time zones included: Django's own
functions, called as Django's templates call them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
from django.contrib.humanize.templatetags import humanize
from django.template import defaultfilters
from django.template.library import Library
from django.templatetags import l10n, tz
from django.utils import translation
from django.utils.safestring import SafeData, SafeString, mark_safe
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]
from jinja2.defaults import DEFAULT_FILTERS  # type: ignore[attr-defined]
from jinja2.runtime import Context
from markupsafe import Markup

__all__ = ["FILTERS", "install"]

LIBRARIES: tuple[Library, ...] = (
    defaultfilters.register,
    humanize.register,
    l10n.register,
    tz.register,
)

# Django says so of `date` and `time`; what is shown to people is meant to be in their
# time zone here, too.
LOCAL_TIME = frozenset({"localize", "naturalday", "naturaltime"})


def install(environment: jinja2.Environment) -> None:
    """Give *environment* the filters, `{% trans %}`, `_()` and `get_language()`."""
    for name, found in FILTERS.items():
        environment.filters.setdefault(name, found)
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        translation.gettext,
        translation.ngettext,
        newstyle=True,
        pgettext=translation.pgettext,
        npgettext=translation.npgettext,
    )
    environment.globals.setdefault("get_language", translation.get_language)


def as_jinjas(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """
    Django's filter *fn* as one of Jinja2: what is safe stays safe, and the rest is
    escaped once.
    """
    is_safe = getattr(fn, "is_safe", False)
    needs_autoescape = getattr(fn, "needs_autoescape", False)
    needs_local_time = getattr(fn, "expects_localtime", False) or name in LOCAL_TIME

    # With a context, it is never called when the template is compiled, where neither
    # language nor time zone is that of a visitor.
    @jinja2.pass_context
    @functools.wraps(fn)
    def filtered(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        value = _djangos(value)
        if needs_local_time:
            value = template_localtime(value)
        if needs_autoescape:
            kwargs["autoescape"] = context.eval_ctx.autoescape
        result = fn(value, *map(_djangos, args), **kwargs)
        if is_safe and isinstance(value, SafeData) and isinstance(result, str):
            result = mark_safe(result)
        # Jinja2's own filters keep Markup safe, but not Django's kind of text.
        return Markup(result) if isinstance(result, SafeData) else result

    return filtered


def _djangos(value: Any) -> Any:
    """Text that Jinja2 takes for safe, as Django's kind of it."""
    return SafeString(value) if isinstance(value, Markup) else value


def _all() -> Iterator[tuple[str, Callable[..., Any]]]:
    for library in LIBRARIES:
        for name, fn in library.filters.items():
            if name not in DEFAULT_FILTERS:
                yield name, as_jinjas(name, fn)


# By name, what templates have beyond the filters of Jinja2.
FILTERS: dict[str, Callable[..., Any]] = dict(_all())
