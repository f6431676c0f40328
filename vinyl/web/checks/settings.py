"""System checks of the web layer's settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from vinyl.conf import check_keys
from vinyl.orm.contrib.thread_locals import middleware_with_thread_locals
from vinyl.web.checks.django_settings import set_in_vain
from vinyl.web.middleware import (
    UnusableMiddleware,
    load_middleware,
    middleware_classes,
)
from vinyl.web.templating.engine import Jinja2

__all__ = [
    "check_cors",
    "check_django_settings",
    "check_middleware",
    "check_middleware_order",
    "check_templates",
    "check_thread_locals",
    "check_urlconf",
    "check_vinyl_settings",
]


@checks.register("vinyl")
def check_urlconf(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E101: `ROOT_URLCONF` is not set. Never switches."""
    if getattr(settings, "ROOT_URLCONF", None):
        return []
    return [
        checks.Error(
            "settings.ROOT_URLCONF is not set, so no request can find a view.",
            hint="Set it to the module with your urlpatterns, such as 'mysite.urls'.",
            id="vinyl.E101",
        )
    ]


@checks.register("vinyl")
def check_middleware(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E102: an entry of `MIDDLEWARE` cannot serve, or a class of vinyl takes its
    place. Never switches.
    """
    errors: list[checks.CheckMessage] = []
    for path in settings.MIDDLEWARE:
        try:
            load_middleware(path)
        except UnusableMiddleware as error:
            errors.append(checks.Error(error.problem, hint=error.hint, id="vinyl.E102"))
    return errors


@checks.register("vinyl")
def check_thread_locals(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.W122: requests would share the state of a middleware. Never switches."""
    return [
        checks.Warning(
            f"settings.MIDDLEWARE contains {path!r}, whose state is in a "
            f"threading.local of {module!r}. Requests share one thread, so one request "
            f"would see the state of another.",
            hint=f"Add that threading.local to VINYL['TASK_LOCALS'], as "
            f"'{module}.its_name', or use a version that keeps the state in a "
            f"contextvars.ContextVar. If requests come one at a time, as in "
            f"development, silence this check.",
            id="vinyl.W122",
        )
        for path, module in middleware_with_thread_locals(settings.MIDDLEWARE)
    ]


@checks.register("vinyl")
def check_middleware_order(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E120: a middleware is listed without the one that it needs before it. Never
    switches.
    """
    listed = list(settings.MIDDLEWARE)
    return [
        checks.Error(
            f"settings.MIDDLEWARE contains {path!r} without {needed!r} before it.",
            hint=f"List {needed!r} before it.",
            id="vinyl.E120",
        )
        for path, needed in NEEDS.items()
        if path in listed and needed not in listed[: listed.index(path)]
    ]


# "vinyl.web.messages.MessagesMiddleware" can store its messages in cookies alone.
# Without the user, some of the packages would record changes as anonymous.
NEEDS = {
    **dict.fromkeys(
        (
            "allauth.account.middleware.AccountMiddleware",
            "auditlog.middleware.AuditlogMiddleware",
            "django_otp.middleware.OTPMiddleware",
            "simple_history.middleware.HistoryRequestMiddleware",
        ),
        "vinyl.web.auth.AuthenticationMiddleware",
    ),
    "vinyl.web.auth.AuthenticationMiddleware": ("vinyl.web.sessions.SessionMiddleware"),
    "vinyl.web.auth.LoginRequiredMiddleware": (
        "vinyl.web.auth.AuthenticationMiddleware"
    ),
}


@checks.register("vinyl")
def check_django_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.W121: a setting of Django has no effect. Never switches."""
    return [
        checks.Warning(
            f"settings.{name} has no effect, because {vain.reason}.",
            hint=vain.hint,
            id="vinyl.W121",
        )
        for name, vain in set_in_vain(list(middleware_classes(settings.MIDDLEWARE)))
    ]


@checks.register("vinyl")
def check_vinyl_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E104, E105, E106, E107: a value of `settings.VINYL` is not what it may be.
    """
    return list(check_keys("vinyl.E1"))


@checks.register("vinyl")
def check_templates(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.W101: no engine of `TEMPLATES` is vinyl's. Never switches."""
    for engine in settings.TEMPLATES:
        try:
            cls = import_string(engine.get("BACKEND", ""))
        except ImportError:
            # Reported by Django's own check.
            continue
        if isinstance(cls, type) and issubclass(cls, Jinja2):
            return []
    return [
        checks.Warning(
            "No engine of settings.TEMPLATES is vinyl's, so render() finds no Jinja2 "
            "template.",
            hint="Add {'BACKEND': 'vinyl.web.templating.Jinja2', 'APP_DIRS': True}.",
            id="vinyl.W101",
        )
    ]


@checks.register("vinyl")
def check_cors(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E111, W111: the settings for CORS contain an invalid origin, or allow every
    site to use the visitors' cookies. Never switches.
    """
    if "vinyl.web.cors.CORSMiddleware" not in settings.MIDDLEWARE:
        return []
    found: list[checks.CheckMessage] = []
    for origin in getattr(settings, "CORS_ALLOWED_ORIGINS", ()):
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or not parts.netloc:
            found.append(
                checks.Error(
                    f"settings.CORS_ALLOWED_ORIGINS contains {origin!r}, which is not "
                    f"an origin, so it never matches a request.",
                    hint="Write scheme, host and, unless it is the default, the port, "
                    "with nothing after them: 'https://app.example.org'.",
                    id="vinyl.E111",
                )
            )
    everybody = getattr(settings, "CORS_ALLOW_ALL_ORIGINS", False)
    if everybody and getattr(settings, "CORS_ALLOW_CREDENTIALS", False):
        found.append(
            checks.Warning(
                "settings.CORS_ALLOW_ALL_ORIGINS and CORS_ALLOW_CREDENTIALS are both "
                "True, so every site can read what your users may see.",
                hint="List the origins in CORS_ALLOWED_ORIGINS, or set "
                "CORS_ALLOW_CREDENTIALS to False.",
                id="vinyl.W111",
            )
        )
    return found
