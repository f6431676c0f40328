"""The classes of `settings.MIDDLEWARE`, and those that serve in place of Django's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

__all__ = [
    "REPLACEMENTS",
    "UnusableMiddleware",
    "load_middleware",
    "middleware_classes",
]

# Django's middleware classes and others of their kind wrap Django's own handler; these
# serve in their place. None: there is no counterpart yet, or no need of one.
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
        UnusableMiddleware: It is for Django's own handler, or cannot be imported.

    Never switches.
    """
    if path.startswith("django.") or path in REPLACEMENTS:
        replacement = REPLACEMENTS.get(path)
        raise UnusableMiddleware(
            path,
            "works only with Django's own request handler; vinyl.web needs pure ASGI "
            "middleware",
            f"Use {replacement!r}." if replacement else "Remove it.",
        )
    try:
        return import_string(path)
    except ImportError as error:
        raise UnusableMiddleware(
            path,
            f"cannot be imported: {error}",
            "Correct the dotted path, or install what it needs.",
        ) from error


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
