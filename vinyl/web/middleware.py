"""
The entries of `settings.MIDDLEWARE`, their kinds, and the classes that serve in place
of Django's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

__all__ = [
    "REPLACEMENTS",
    "UnusableMiddleware",
    "is_of_djangos_kind",
    "load_middleware",
    "middleware_classes",
]

# These classes serve in place of Django's and of others of their kind: they work for
# WebSockets and for streams, without a bridge for each request. None: there is no need
# of one.
REPLACEMENTS: dict[str, str | None] = {
    "django.middleware.security.SecurityMiddleware": (
        "vinyl.web.security.SecurityMiddleware"
    ),
    "django.middleware.clickjacking.XFrameOptionsMiddleware": (
        "vinyl.web.security.SecurityMiddleware"
    ),
    "django.middleware.csrf.CsrfViewMiddleware": "vinyl.web.csrf.CSRFMiddleware",
    "django.middleware.gzip.GZipMiddleware": (
        "starlette.middleware.gzip.GZipMiddleware"
    ),
    "django.middleware.http.ConditionalGetMiddleware": (
        "vinyl.web.conditional.ConditionalGetMiddleware"
    ),
    "django.middleware.locale.LocaleMiddleware": "vinyl.web.i18n.LocaleMiddleware",
    # The router appends slashes.
    "django.middleware.common.CommonMiddleware": None,
    "corsheaders.middleware.CorsMiddleware": "vinyl.web.cors.CORSMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware": (
        "vinyl.web.staticfiles.StaticFilesMiddleware"
    ),
    "django.middleware.csp.ContentSecurityPolicyMiddleware": (
        "vinyl.web.security.SecurityMiddleware"
    ),
    "django.contrib.sessions.middleware.SessionMiddleware": (
        "vinyl.web.sessions.SessionMiddleware"
    ),
    "django.contrib.auth.middleware.AuthenticationMiddleware": (
        "vinyl.web.auth.AuthenticationMiddleware"
    ),
    "django.contrib.auth.middleware.LoginRequiredMiddleware": (
        "vinyl.web.auth.LoginRequiredMiddleware"
    ),
    "django.contrib.messages.middleware.MessageMiddleware": (
        "vinyl.web.messages.MessagesMiddleware"
    ),
}


class UnusableMiddleware(ImproperlyConfigured):
    """
    An entry of `settings.MIDDLEWARE` that cannot serve.

    Args:
        path: The entry.
        reason: What is wrong with it, to follow "which": "cannot be imported".
        hint: What to do, as a sentence.

    Attributes:
        problem: What is wrong, as a sentence.
        hint: What to do, as a sentence.
    """

    def __init__(self, path: str, reason: str, hint: str) -> None:
        self.problem = f"settings.MIDDLEWARE contains {path!r}, which {reason}."
        self.hint = hint
        super().__init__(f"{self.problem} {hint}")


def load_middleware(path: str) -> Any:
    """
    Return the middleware class, or the factory, that *path* names.

    Args:
        path: An entry of `settings.MIDDLEWARE`.

    Raises:
        UnusableMiddleware: It cannot be imported, a class of vinyl takes its place, or
            it is of no kind that can be called.

    Never switches.
    """
    if path in REPLACEMENTS:
        replacement = REPLACEMENTS[path]
        raise UnusableMiddleware(
            path,
            "is for Django's own request handler; vinyl.web has its own class for "
            "this, or does it without one",
            f"Use {replacement!r}." if replacement else "Remove it.",
        )
    try:
        middleware = import_string(path)
    except Exception as error:
        # Not only an ImportError: models refuse to be imported without their app.
        raise UnusableMiddleware(
            path,
            f"cannot be imported: {error}",
            "Correct the dotted path, or install what it needs.",
        ) from error
    if problem := _problem_of(middleware):
        raise UnusableMiddleware(path, *problem)
    return middleware


# What Django's handler looks for in middleware, besides __call__().
_DJANGOS_ATTRIBUTES = (
    "async_capable",
    "process_exception",
    "process_request",
    "process_response",
    "process_template_response",
    "process_view",
    "sync_capable",
)


def is_of_djangos_kind(middleware: Any) -> bool:
    """
    Return whether *middleware* is of Django's kind: called with `get_response`, it
    returns a callable that takes a request and returns a response. Otherwise it is pure
    ASGI middleware.

    Args:
        middleware: What an entry of `settings.MIDDLEWARE` names.

    Never switches.
    """
    if any(hasattr(middleware, name) for name in _DJANGOS_ATTRIBUTES):
        return True
    try:
        parameters = list(inspect.signature(middleware).parameters)
    except (TypeError, ValueError):
        parameters = []
    if parameters[:1] == ["get_response"]:
        return True
    call = _call_of(middleware)
    return call is not None and not _takes(call, 3) and _takes(call, 1)


def _problem_of(middleware: Any) -> tuple[str, str] | None:
    """Return why *middleware* cannot serve and what to do; None if it can."""
    if not callable(middleware):
        return "is not callable", "Name a middleware class, or a factory of one."
    if not (
        getattr(middleware, "sync_capable", True)
        or getattr(middleware, "async_capable", False)
    ):
        reason = "can run neither as sync nor as async code"
        return reason, "Set its sync_capable or its async_capable to True."
    call = _call_of(middleware)
    if not isinstance(middleware, type) or is_of_djangos_kind(middleware):
        return None
    if call is None or not _takes(call, 3):
        reason = "is neither of Django's kind nor pure ASGI middleware"
        hint = "Write a __call__(request), or a __call__(scope, receive, send)."
        return reason, hint
    return None


def _call_of(middleware: Any) -> Callable[..., Any] | None:
    """The `__call__()` of the objects of a middleware class, or None."""
    for cls in getattr(middleware, "__mro__", ()):
        if "__call__" in vars(cls):
            return cls.__call__
    return None


def _takes(call: Callable[..., Any], count: int) -> bool:
    """Whether a method *call* takes *count* positional arguments."""
    try:
        inspect.signature(call).bind(None, *range(count))
    except (TypeError, ValueError):
        return False
    return True


def middleware_classes(paths: Iterable[str]) -> Iterator[type]:
    """
    Yield the classes that *paths* name, without the entries that cannot serve and
    without factories. Never switches.
    """
    for path in paths:
        try:
            cls = load_middleware(path)
        except UnusableMiddleware:
            # Reported as vinyl.E102.
            continue
        if isinstance(cls, type):
            yield cls
