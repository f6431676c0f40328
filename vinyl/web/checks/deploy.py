"""
Django's security checks, `vinyl check --deploy`, for vinyl's middleware.

They look for Django's middleware by name. So each is asked as if the classes of
vinyl that serve in their place were Django's, and its answer is put into vinyl's words.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django import VERSION
from django.conf import settings
from django.core import checks
from django.core.checks.registry import registry
from django.utils.module_loading import import_string

from vinyl.web.http import csp
from vinyl.web.middleware import REPLACEMENTS, middleware_classes

__all__ = ["check_csp", "translate_djangos_checks"]

# What they ask for has no counterpart: there is no CSRF cookie, and templates always
# have the nonce.
NOT_HERE = frozenset({"security.W016", "security.W027"})


def translate_djangos_checks() -> None:
    """From now on, in this process, Django's security checks know vinyl's classes."""
    for known in (registry.registered_checks, registry.deployment_checks):
        for check in list(known):
            if check.__module__.startswith("django.core.checks.security."):
                known.discard(check)
                known.add(translated(check))


def translated(check: Callable[..., Any]) -> Any:
    @functools.wraps(check)
    def checked(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
        with middleware_under_djangos_names():
            issues = check(app_configs=app_configs, **kwargs)
        return [in_our_words(issue) for issue in issues if issue.id not in NOT_HERE]

    return checked


@contextmanager
def middleware_under_djangos_names() -> Iterator[None]:
    before = settings.MIDDLEWARE
    settings.MIDDLEWARE = [*before, *stood_in_for(before)]
    try:
        yield
    finally:
        settings.MIDDLEWARE = before


def stood_in_for(middleware: list[str]) -> Iterator[str]:
    """Django's names of what the classes in *middleware*, or their bases, do."""
    listed = list(middleware_classes(middleware))
    for theirs, ours in REPLACEMENTS.items():
        cls = import_string(ours) if ours else None
        if cls is not None and any(issubclass(other, cls) for other in listed):
            yield theirs


def in_our_words(issue: checks.CheckMessage) -> checks.CheckMessage:
    """A message of Django's with the names of vinyl's classes."""
    msg = issue.msg.replace("Django's built-in", "vinyl's")
    for theirs, ours in REPLACEMENTS.items():
        if ours:
            msg = msg.replace(f"'{theirs}'", f"'{ours}'")
    return checks.CheckMessage(issue.level, msg, issue.hint, issue.obj, issue.id)


@checks.register("vinyl")
def check_csp(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E103: a content security policy that this Django cannot send."""
    names = [name for name in csp.SETTINGS if getattr(settings, name, None)]
    if csp.AVAILABLE or not names:
        return []
    installed = f"Django {VERSION[0]}.{VERSION[1]}"
    return [
        checks.Error(
            f"settings.{names[0]} is set, but {installed} has no Content Security "
            f"Policy, so none is sent.",
            hint="Install Django 6.0 or later, or remove the setting.",
            id="vinyl.E103",
        )
    ]
