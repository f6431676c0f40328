"""
Django's checks of the middleware, for vinyl's: those of security, `vinyl check
--deploy`, and those of its admin.

They look for Django's middleware by name. So each runs with Django's names in place of
the classes of vinyl that replace them, and its messages name vinyl's classes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django import VERSION
from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from vinyl.bridge.patching import Patch
from vinyl.web.http import csp
from vinyl.web.middleware import REPLACEMENTS, middleware_classes

__all__ = ["TABLE", "check_csp"]

# The modules of Django's checks that look for middleware.
LOOKING = ("django.contrib.admin.checks", "django.core.checks.security.")
# Not applicable: there is no CSRF cookie, and templates always have the nonce.
NOT_APPLICABLE = frozenset({"security.W016", "security.W027"})


def patch_get_checks(get_checks: Callable[..., Any]) -> Callable[..., Any]:
    """
    The patch for `CheckRegistry.get_checks()`: those of Django that look for middleware
    accept vinyl's classes, whichever app registers them first.
    """

    @functools.wraps(get_checks)
    def changed(self: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return [
            patch_check(check) if check.__module__.startswith(LOOKING) else check
            for check in get_checks(self, *args, **kwargs)
        ]

    return changed


@functools.cache
def patch_check(check: Callable[..., Any]) -> Any:
    """One of Django's checks, which accepts vinyl's classes and names them."""

    @functools.wraps(check)
    def patched(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
        with middleware_under_djangos_names():
            issues = check(app_configs=app_configs, **kwargs)
        return [renamed(issue) for issue in issues if issue.id not in NOT_APPLICABLE]

    return patched


@contextmanager
def middleware_under_djangos_names() -> Iterator[None]:
    """In the block, `settings.MIDDLEWARE` contains Django's names as well."""
    before = settings.MIDDLEWARE
    settings.MIDDLEWARE = [*before, *replaced_by(before)]
    try:
        yield
    finally:
        settings.MIDDLEWARE = before


def replaced_by(middleware: list[str]) -> Iterator[str]:
    """Yield the names of Django's classes that those in *middleware* replace."""
    listed = list(middleware_classes(middleware))
    for theirs, ours in REPLACEMENTS.items():
        cls = import_string(ours) if ours else None
        if cls is not None and any(issubclass(other, cls) for other in listed):
            yield theirs


def renamed(issue: checks.CheckMessage) -> checks.CheckMessage:
    """Return a message of Django's with the names of vinyl's classes."""
    msg = issue.msg.replace("Django's built-in", "vinyl's")
    for theirs, ours in REPLACEMENTS.items():
        if ours:
            msg = msg.replace(f"'{theirs}'", f"'{ours}'")
    return checks.CheckMessage(issue.level, msg, issue.hint, issue.obj, issue.id)


TABLE = (
    Patch("django.core.checks.registry:CheckRegistry", "get_checks", patch_get_checks),
)


@checks.register("vinyl")
def check_csp(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E103: a content security policy that this Django cannot send."""
    names = [name for name in csp.SETTINGS if getattr(settings, name, None)]
    if csp.AVAILABLE or not names:
        return []
    installed = f"Django {VERSION[0]}.{VERSION[1]}"
    return [
        checks.Error(
            f"settings.{names[0]} is set, but {installed} does not support Content "
            f"Security Policy, so no policy is sent.",
            hint="Install Django 6.0 or later, or remove the setting.",
            id="vinyl.E103",
        )
    ]
