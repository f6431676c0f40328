"""What a project with static files has, and how it is served."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from typing import Any

from vinyl.web import PlainTextResponse, Request, Response, path

CSS = "p { color: teal }\n" * 200
MIDDLEWARE = ["vinyl.web.staticfiles.StaticFilesMiddleware"]
STORAGE = "vinyl.web.staticfiles.CompressedManifestStaticFilesStorage"
IDENTITY = {"Accept-Encoding": "identity"}


def view(request: Request, rest: str) -> Response:
    return PlainTextResponse(f"the view got {rest}")


PATTERNS = (path("<path:rest>", view),)


def storages(backend: str) -> dict[str, Any]:
    return {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": backend},
    }
