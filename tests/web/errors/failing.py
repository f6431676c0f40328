"""Views that fail, and settings that decide who sees their errors."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from typing import Any

import django
from django.http import Http404

from tests.records.models import Album, Artist
from vinyl.web import Request, Response, path

DEBUG: dict[str, Any] = {"DEBUG": True, "SECRET_KEY": "not-to-be-shown"}

JSON = {"Accept": "application/json"}
TEXT = {"Accept": "text/plain"}


async def make_album() -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    return await Album.objects.create(title="Pastel Blues", artist=artist)


async def missing(request: Request) -> Response:
    raise Http404("No album of that name.")


async def broken(request: Request) -> Response:
    password = "hunter2"  # noqa: F841
    raise ZeroDivisionError("for <developers> only")


def raising(error: Exception) -> Any:
    """A pattern for "/", whose view raises *error*."""

    async def view(request: Request) -> Response:
        raise error

    return path("", view)


def admins(backend: str = "django.core.mail.backends.locmem.EmailBackend") -> Any:
    """Settings that send errors to Nina, as each version of Django names them."""
    settings: dict[str, Any] = {"LOGGING_CONFIG": None}
    if django.VERSION < (6, 0):
        settings["ADMINS"] = [("Nina", "nina@example.org")]
    else:
        settings["ADMINS"] = ["nina@example.org"]
    if django.VERSION < (6, 1):
        settings["EMAIL_BACKEND"] = backend
    else:
        settings["MAILERS"] = {"default": {"BACKEND": backend}}
    return settings
