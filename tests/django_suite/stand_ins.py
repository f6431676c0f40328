"""
`vinyl.web.Request` in the place of Django's request classes.

Each class is called with the arguments of the one that it stands for, and makes of them
what a server hands to `vinyl.web`: a scope, and a `receive` that gives the body.
"""

# Attributes are assigned that django-stubs and Starlette declare to be read-only.
# mypy: disable-error-code="misc, assignment, method-assign"

from __future__ import annotations

import sys
from contextlib import suppress
from io import BytesIO
from typing import Any
from urllib.parse import quote

import django.http
import django.http.request
from django.core.handlers import asgi, wsgi
from django.http import QueryDict
from django.urls import set_script_prefix
from starlette.types import Message, Receive, Scope

from vinyl.web import Request
from vinyl.web.http.meta import headers_in
from vinyl.web.http.prefix import enter_prefix

__all__ = ["put_in_place"]

CHUNK_BYTES = 65_536


def receive_from(file: Any) -> Receive:
    """A `receive` that gives what *file* contains."""

    async def receive() -> Message:
        piece = file.read(CHUNK_BYTES)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    return receive


async def send(message: Message) -> None:
    raise AssertionError("A request sends nothing by itself.")


class HttpRequest(Request):
    """In the place of `HttpRequest`, whose attributes are assigned by its maker."""

    # Django's middleware is in use.
    csrf_processing_done = False

    def __init__(self) -> None:
        scope = {"type": "http", "method": "", "path": "", "headers": []}
        super().__init__(scope, receive_from(BytesIO()), send)
        self.META = {}
        self.GET, self.POST = QueryDict(mutable=True), QueryDict(mutable=True)
        self.COOKIES = {}


class ASGIRequest(HttpRequest):
    """In the place of `ASGIRequest`."""

    def __init__(self, scope: Scope, body_file: Any) -> None:
        before = enter_prefix(scope)
        if before is not None:
            set_script_prefix(before)
        receive = receive_from(body_file)
        Request.__init__(self, scope, receive, send)
        if body_file is not None:
            # Django's handler makes the request when the body has arrived.
            with suppress(StopIteration):
                self._whole_body.load(receive).send(None)


class WSGIRequest(HttpRequest):
    """In the place of `WSGIRequest`."""

    def __init__(self, environ: dict[str, Any]) -> None:
        length = str(environ.get("CONTENT_LENGTH") or 0)
        length_bytes = int(length) if length.isdigit() else 0
        file = environ.get("wsgi.input") or BytesIO()
        body = wsgi.LimitedStream(file, length_bytes)
        scope = scope_of(environ)
        Request.__init__(self, scope, receive_from(body), send)
        self.environ = self.META = environ
        # In an environment all text is Latin-1.
        self.GET = QueryDict(scope["query_string"])
        environ["SCRIPT_NAME"] = wsgi.get_script_name(environ)
        environ["PATH_INFO"] = wsgi.get_path_info(environ)


def scope_of(environ: dict[str, Any]) -> Scope:
    """What an ASGI server makes of the request in *environ*."""
    prefix = wsgi.get_script_name(environ).rstrip("/")
    path = "/" + wsgi.get_path_info(environ).replace("/", "", 1)
    scope: Scope = {
        "type": "http",
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").partition("/")[2],
        "method": environ["REQUEST_METHOD"].upper(),
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "root_path": prefix,
        "path": prefix + path,
        "raw_path": quote(prefix + path).encode(),
        "query_string": wsgi.get_bytes_from_wsgi(environ, "QUERY_STRING", ""),
        "headers": list(headers_in(environ)),
    }
    if "REMOTE_ADDR" in environ:
        scope["client"] = (environ["REMOTE_ADDR"], 0)
    if "SERVER_NAME" in environ:
        scope["server"] = (environ["SERVER_NAME"], int(environ.get("SERVER_PORT", 80)))
    return scope


def put_in_place() -> None:
    """Replace Django's classes, before the tests import them."""
    for cls in (ASGIRequest, WSGIRequest, HttpRequest):
        cls.__module__ = __name__
    replacements = {
        asgi.ASGIRequest: ASGIRequest,
        wsgi.WSGIRequest: WSGIRequest,
        django.http.HttpRequest: HttpRequest,
    }
    asgi.ASGIHandler.request_class = ASGIRequest
    wsgi.WSGIHandler.request_class = WSGIRequest
    # Some modules have them already, from an import.
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("django."):
            continue
        for name, value in list(vars(module).items()):
            for djangos, ours in replacements.items():
                if value is djangos:
                    setattr(module, name, ours)
