"""
Serving static files: from Django's finders during development, and in production from
`STATIC_ROOT`, where `vinyl collectstatic` has put them.
"""

from __future__ import annotations

import logging
import os
import posixpath
import stat
from mimetypes import guess_type
from typing import Any, cast
from urllib.parse import urlsplit

import starlette.staticfiles
from django.conf import settings
from django.conf.urls import static as django_static
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.conf import vinyl_settings
from vinyl.web.errors.middleware import ErrorMiddleware
from vinyl.web.http.prefix import path_info, without_prefix
from vinyl.web.http.requests import Request
from vinyl.web.staticfiles.compression import ENCODINGS

__all__ = [
    "StaticFiles",
    "StaticFilesMiddleware",
    "serve",
    "static",
]

logger = logging.getLogger("django.request")

FOREVER = "public, max-age=31536000, immutable"


class StaticFiles(starlette.staticfiles.StaticFiles):
    """An ASGI app that serves the static files that Django's finders find."""

    def __init__(self) -> None:
        super().__init__(check_dir=False)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        try:
            found = finders.find(path)
        except SuspiciousFileOperation:
            # Outside the folders of static files, so it is not found.
            found = None
        return (str(found), os.stat(found)) if found else ("", None)


class StaticFilesMiddleware:
    """
    Serve `STATIC_ROOT` below `STATIC_URL`, so that a small site needs no web server;
    with `DEBUG` on, serve what Django's finders find.

    Browsers may cache files whose names contain a hash (Django's
    `ManifestStaticFilesStorage`) for ever. If a file has compressed variants beside it
    (see `vinyl.web.staticfiles.compression`), the client gets one that it accepts.

    Settings:
        STATIC_URL: Where the files are served; it needs a path.
        STATIC_ROOT: The folder that is served with `DEBUG` off.
        VINYL["STATIC_MAX_AGE"]: How long other files may be cached, in seconds; 60 by
            default.

    Raises:
        ImproperlyConfigured: With `DEBUG` off: `STATIC_ROOT` is not set, or
            `STATIC_URL` has no path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        if not settings.DEBUG and not place_of_files():
            raise ImproperlyConfigured(
                f"settings.STATIC_URL is {settings.STATIC_URL!r}, so every URL would "
                f"count as that of a static file. Set it to a path, such as 'static/'."
            )
        self.files = StaticFiles() if settings.DEBUG else CollectedFiles()
        # Errors become pages here, so that they pass the middleware above.
        self.serving = ErrorMiddleware(self.serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self.app
        if scope["type"] == "http" and (place := place_of_files()):
            if path_info(scope).startswith(f"{place}/"):
                app = self.serving
        await app(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application of the files alone. Switches to the event loop."""
        root_path = scope.get("root_path", "") + place_of_files()
        await self.files({**scope, "root_path": root_path}, receive, send)


def place_of_files() -> str:
    """
    Return the path of `STATIC_URL` below the prefix, without the slash at its end;
    empty if there is none. With `DEBUG` off the URL may be that of a CDN, which
    requests the same path here.
    """
    url = urlsplit(settings.STATIC_URL or "")
    if settings.DEBUG and url.netloc:
        return ""
    return without_prefix(url.path).rstrip("/")


class CollectedFiles(starlette.staticfiles.StaticFiles):
    """An ASGI app that serves `STATIC_ROOT`, with compressed variants."""

    def __init__(self) -> None:
        root = settings.STATIC_ROOT
        if not root:
            raise ImproperlyConfigured(
                "settings.STATIC_ROOT is not set, so StaticFilesMiddleware has nothing "
                "to serve. Set it to the folder that `vinyl collectstatic` fills."
            )
        if not os.path.isdir(root):
            logger.warning(
                "There are no static files in %s: run `vinyl collectstatic`.", root
            )
        super().__init__(directory=root, check_dir=False)
        self.root = os.path.realpath(root)
        # Files with a hash in their names, whose content never changes.
        hashed = getattr(staticfiles_storage, "hashed_files", {})
        self.unchanging = frozenset(hashed.values())
        self.briefly = f"public, max-age={vinyl_settings.STATIC_MAX_AGE}"
        # The variants beside each file, updated with each request.
        self.variants: dict[str, dict[str, os.stat_result]] = {}

    async def check_config(self) -> None:
        """Accept a missing folder, which may be made later; it is just empty."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        full_path, found = super().lookup_path(path)
        if found is not None and stat.S_ISREG(found.st_mode):
            # Here, since this runs in a thread and may read the disk.
            self.variants[full_path] = variants_of(full_path, found)
        return full_path, found

    def file_response(
        self,
        full_path: Any,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        asked = Headers(scope=scope)
        variants = self.variants.get(full_path, {})
        encoding = None
        if "range" not in asked:
            # A range is one of the uncompressed file.
            encoding = best_of(variants, asked.get("accept-encoding", ""))
        name = os.path.relpath(full_path, self.root).replace(os.sep, "/")
        headers = {
            "cache-control": FOREVER if name in self.unchanging else self.briefly
        }
        if variants:
            headers["vary"] = "Accept-Encoding"
        path = full_path
        if encoding is not None:
            path, stat_result = full_path + ENCODINGS[encoding], variants[encoding]
            headers |= {"content-encoding": encoding, "accept-ranges": "none"}
        response = FileResponse(
            path,
            status_code,
            headers,
            media_type_of(full_path),
            None,
            None,
            stat_result,
        )
        if encoding is not None:
            # Variants of the same time and size would have the same ETag.
            tag = response.headers["etag"].strip('"')
            response.headers["etag"] = f'"{tag}-{encoding}"'
        if self.is_not_modified(response.headers, asked):
            return starlette.staticfiles.NotModifiedResponse(response.headers)
        return response


def variants_of(path: str, found: os.stat_result) -> dict[str, os.stat_result]:
    """Return the compressed files beside the one at *path*, by encoding."""
    variants = {}
    for encoding, suffix in ENCODINGS.items():
        try:
            variant = os.lstat(path + suffix)
        except OSError:
            continue
        # An older one belongs to an older content; a link may lead anywhere.
        if stat.S_ISREG(variant.st_mode) and variant.st_mtime >= found.st_mtime:
            variants[encoding] = variant
    return variants


def best_of(variants: dict[str, Any], header: str) -> str | None:
    """
    Return the encoding of the variant to send; None for the file itself.

    Args:
        variants: By encoding, the preferred one first.
        header: The value of `Accept-Encoding`.
    """
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        encoding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name == "q" else 1.0
        except ValueError:
            weight = 0.0
        weights[encoding.strip()] = weight
    any_other = weights.get("*", 0.0)
    best, most = None, 0.0
    for encoding in variants:
        weight = weights.get(encoding, any_other)
        if weight > most:
            best, most = encoding, weight
    return best if most >= weights.get("identity", 0.0) else None


def media_type_of(path: str) -> str:
    """Return the media type of a file as it is on the disk, compressed or not."""
    kind, encoding = guess_type(path)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    return kind or "application/octet-stream"


async def serve(
    request: Request, path: str, document_root: str | os.PathLike[str]
) -> Any:
    """
    A view that serves the file at *path* in *document_root*, such as an upload. It sets
    `X-Content-Type-Options: nosniff`, so that no browser reads an image as a page.

    Args:
        request: A GET or HEAD request.
        path: The path of the file in the folder.
        document_root: The folder.

    Raises:
        HTTPException: With 404 if there is no such file in the folder, with 405 if the
            method is neither GET nor HEAD.

    Switches to the event loop.
    """
    files = starlette.staticfiles.StaticFiles(directory=document_root, check_dir=False)
    path = posixpath.normpath(path.lstrip("/"))
    response = await files.get_response(path, request.scope)
    response.headers["x-content-type-options"] = "nosniff"
    return response


def static(prefix: str, document_root: str | os.PathLike[str]) -> list[Any]:
    """
    Return URL patterns that serve *document_root* below *prefix* if `DEBUG` is on,
    otherwise an empty list:

        urlpatterns += static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT)

    Args:
        prefix: The beginning of the URLs.
        document_root: The folder.

    Raises:
        ImproperlyConfigured: *prefix* is empty.

    Never switches.
    """
    view = cast(Any, serve)
    return django_static.static(prefix, view=view, document_root=document_root)
