"""
Django's filters for Jinja2's templates, and translated and localised text.

Jinja2's own filters keep their names and meanings. All other filters of Django are
added, with those of humanize, localization and time zones: Django's own functions,
called as Django's templates call them.
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

# Django marks `date` and `time` so; these show times to people as well, who expect
# their own time zone.
LOCAL_TIME = frozenset({"localize", "naturalday", "naturaltime"})


def install(environment: jinja2.Environment) -> None:
    """
    Add the filters, `{% trans %}`, `_()` and `get_language()` to *environment*. Never
    switches.
    """
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


def jinja_filter(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return Django's filter *fn* as one for Jinja2: safe text stays safe, and other text
    is escaped once.
    """
    is_safe = getattr(fn, "is_safe", False)
    needs_autoescape = getattr(fn, "needs_autoescape", False)
    needs_local_time = getattr(fn, "expects_localtime", False) or name in LOCAL_TIME

    # With a context it is not evaluated when the template is compiled, which happens
    # outside of the visitor's language and time zone.
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
        # Jinja2's own filters know Markup, but not Django's SafeString.
        return Markup(result) if isinstance(result, SafeData) else result

    return filtered


def _djangos(value: Any) -> Any:
    """Return text that Jinja2 marks as safe as Django's SafeString."""
    return SafeString(value) if isinstance(value, Markup) else value


def _all() -> Iterator[tuple[str, Callable[..., Any]]]:
    for library in LIBRARIES:
        for name, fn in library.filters.items():
            if name not in DEFAULT_FILTERS:
                yield name, jinja_filter(name, fn)


# Django's filters by name, without those whose names Jinja2 uses.
FILTERS: dict[str, Callable[..., Any]] = dict(_all())
