"""System checks of the web layer's settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from vinyl.web.application import REPLACEMENTS
from vinyl.web.templating import Jinja2

__all__ = ["check_middleware", "check_templates", "check_urlconf"]


@checks.register("vinyl")
def check_urlconf(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E101: there is no ROOT_URLCONF."""
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
    """vinyl.E102: an entry of MIDDLEWARE is Django's, or cannot be imported."""
    errors: list[checks.CheckMessage] = []
    for path in settings.MIDDLEWARE:
        if path.startswith("django.") or path in REPLACEMENTS:
            replacement = REPLACEMENTS.get(path)
            problem = "works with Django's own request handler only"
            hint = f"Use {replacement!r}." if replacement else "Remove it."
        else:
            try:
                import_string(path)
                continue
            except ImportError as error:
                problem = f"cannot be imported: {error}"
                hint = "Correct the dotted path, or install what it needs."
        errors.append(
            checks.Error(
                f"settings.MIDDLEWARE contains {path!r}, which {problem}.",
                hint=hint,
                id="vinyl.E102",
            )
        )
    return errors


@checks.register("vinyl")
def check_templates(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.W101: no engine of TEMPLATES is vinyl's."""
    for engine in settings.TEMPLATES:
        try:
            cls = import_string(engine.get("BACKEND", ""))
        except ImportError:
            # Django's own check tells of it.
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
