"""
The request that views and middleware get: Starlette's and Django's in one.

Its interface is Starlette's. Django's is there as well, so that Django's decorators,
generic views, forms, messages and sessions take it for their own.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NoReturn, Self

import starlette.requests
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, QueryDict
from django.urls import Resolver404, ResolverMatch, get_resolver
from django.utils.datastructures import MultiValueDict
from django.utils.functional import cached_property
from django.utils.http import parse_header_parameters
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.types import Receive, Scope, Send

from vinyl.exceptions import NotAwaitedError
from vinyl.orm.calls import Call
from vinyl.orm.mode import begin
from vinyl.orm.threads import can_wait, wait
from vinyl.web.bodies import MultiPartParser, load_json, submitted
from vinyl.web.cleansing import report_filter
from vinyl.web.csp import make_nonce
from vinyl.web.headers import cookies_of
from vinyl.web.prefix import path_info
from vinyl.web.users import LAZY_USER, LazyUser

__all__ = ["MalformedJSON", "Request", "max_body_size"]

FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

# Bytes; VINYL["MAX_BODY_SIZE"] sets another limit.
MAX_BODY_SIZE = 100 * 2**20


class MalformedJSON(BadRequest, json.JSONDecodeError):
    """The body is no JSON: 400, unless the view catches it."""


def max_body_size() -> int | None:
    """How many bytes of a body are read; None if there is no limit."""
    return getattr(settings, "VINYL", {}).get("MAX_BODY_SIZE", MAX_BODY_SIZE)


class FormCall(Call):
    """A call of `request.form()`, which closes the files where it is entered."""

    __slots__ = ("_form",)

    async def __aenter__(self) -> FormData:
        self._form = await self
        return self._form

    async def __aexit__(self, *error: object) -> None:
        await self._form.close()


class Meta(dict[str, Any]):
    """What `request.META` is. Django's login asks in it for a new CSRF cookie."""

    def get(self, key: str, default: Any = None) -> Any:
        # Nothing here reads that cookie, so no decorator needs to set it.
        return False if key == "CSRF_COOKIE_NEEDS_UPDATE" else super().get(key, default)


class Request(starlette.requests.Request, HttpRequest):  # type: ignore[misc]
    """
    Starlette's request, whose `body()`, `json()` and `form()` are dual-mode: awaited
    in an async view, called plainly in a `def` view or a template.

    Django's names work, too: `GET`, `POST`, `FILES`, `COOKIES`, `META`, `path`,
    `get_host()`, `is_secure()` and so on. In an async view `POST` and `FILES` are there
    after `await request.form()`; elsewhere they read the form when they are first used.

    There is one object for each request, which middleware shares: see `Request.of`.
    """

    # CSRFMiddleware has seen to it, so Django's decorators need not look for tokens.
    csrf_processing_done = True

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send) -> Self:
        """The request of *scope*, the same one in each middleware and in the view."""
        request = scope.get("vinyl.request")
        if request is None:
            request = scope["vinyl.request"] = cls(scope, receive, send)
        else:
            # A layer between may have put others in their place.
            request.scope, request._receive, request._send = scope, receive, send
        return request

    # ----- Where it leads

    @property
    def path(self) -> str:  # type: ignore[override]
        """The whole path, unquoted."""
        return self.scope["path"]

    @property
    def path_info(self) -> str:  # type: ignore[override]
        """The path below the prefix where the application is served."""
        return path_info(self.scope)

    @property
    def script_name(self) -> str:
        """The prefix: empty, or such as "/shop", without a slash at its end."""
        return self.scope.get("root_path") or ""

    def resolve(self) -> ResolverMatch:
        """
        What the URL leads to; looked up once.

        Raises:
            Resolver404: No pattern matches.
        """
        match = self.scope.get("resolver_match")
        if match is None:
            urlconf = getattr(self, "urlconf", settings.ROOT_URLCONF)
            match = get_resolver(urlconf).resolve(self.path_info)
            self.scope["resolver_match"] = match
        return match

    @property
    def resolver_match(self) -> ResolverMatch | None:
        """What the URL leads to: view, arguments, names. None if to nothing."""
        try:
            return self.resolve()
        except Resolver404:
            return None

    @resolver_match.setter
    def resolver_match(self, match: ResolverMatch | None) -> None:
        self.scope["resolver_match"] = match

    # ----- Who sent it

    @property
    def session(self) -> Any:
        """The session, of which SessionMiddleware takes care."""
        return self._from_middleware("session", "vinyl.web.sessions.SessionMiddleware")

    @session.setter
    def session(self, session: Any) -> None:
        self.scope["session"] = session

    @property
    def user(self) -> Any:
        """Who is logged in, as AuthenticationMiddleware found out."""
        # Middleware of others may have decided; vinyl itself leaves that key alone.
        if "user" not in self.scope and (lazy := self.scope.get(LAZY_USER)) is not None:
            return lazy
        return self._from_middleware("user", "vinyl.web.auth.AuthenticationMiddleware")

    @user.setter
    def user(self, user: Any) -> None:
        user = self.scope[LAZY_USER] = LazyUser.of(user)
        if "user" in self.scope:
            self.scope["user"] = user

    async def auser(self) -> Any:
        """Django's async name for `await request.user`. Switches to the event loop."""
        return await self.user

    @cached_property
    def exception_reporter_filter(self) -> Any:  # type: ignore[override]
        """What leaves secrets out of reports, as Django's attribute of this name."""
        return report_filter()

    @cached_property
    def csp_nonce(self) -> Any:
        """
        For `<script nonce="{{ csp_nonce }}">`: made on first use, and then part of the
        policy in the response's header, where `SECURE_CSP` has `CSP.NONCE`. None before
        Django 6.0.
        """
        return make_nonce()

    @property
    def _csp_nonce(self) -> Any:
        # Where Django's context processor looks.
        return self.csp_nonce

    def _from_middleware(self, name: str, middleware: str) -> Any:
        try:
            return self.scope[name]
        except KeyError:
            raise AttributeError(
                f"The request has no {name!r}, since no middleware has set it. Add "
                f"{middleware!r} to settings.MIDDLEWARE."
            ) from None

    @property
    def id(self) -> str | None:
        """The name that AccessLogMiddleware has given it; None without that."""
        return self.scope.get("vinyl.request_id")

    # ----- What it brings

    @cached_property
    def META(self) -> dict[str, Any]:  # type: ignore[override]
        """
        Headers and addresses under CGI's names.

        Raises:
            BadRequest: The query string is not UTF-8.
        """
        try:
            meta = Meta(ASGIRequest(dict(self.scope), io.BytesIO()).META)
        except UnicodeDecodeError as error:
            raise BadRequest(f"The query string is not UTF-8: {error}") from error
        meta |= {"SCRIPT_NAME": self.script_name, "PATH_INFO": self.path_info}
        return meta

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]
        """
        The parameters of the query string.

        Raises:
            BadRequest: It is not UTF-8.
            TooManyFieldsSent: They are more than `DATA_UPLOAD_MAX_NUMBER_FIELDS`.
        """
        return QueryDict(self.META["QUERY_STRING"], encoding=self.encoding)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies, read as UTF-8."""
        if not hasattr(self, "_cookies"):
            self._cookies = cookies_of(self.scope)
        return self._cookies

    @property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]
        return self.cookies

    @cached_property
    def content_type(self) -> str:  # type: ignore[override]
        """The type of the body, without parameters; empty if none is told."""
        return self._content_type[0]

    @cached_property
    def content_params(self) -> dict[str, str]:  # type: ignore[override]
        return self._content_type[1]

    @cached_property
    def _content_type(self) -> tuple[str, dict[str, str]]:
        try:
            return parse_header_parameters(self.headers.get("content-type", ""))
        except ValueError as error:
            raise BadRequest("The Content-Type header is malformed.") from error

    def _get_scheme(self) -> str:
        return self.scope.get("scheme") or "http"

    @property  # type: ignore[override]
    def POST(self) -> QueryDict:
        """
        The fields of a submitted form; empty if no form was sent with POST.

        Raises:
            NotAwaitedError: On the event loop, before `await request.form()`.

        Switches to the event loop inside the bridge.
        """
        return self._submitted[0]

    @POST.setter
    def POST(self, data: QueryDict) -> None:
        # Django's UserAdmin adds to what was posted.
        self._submitted = data, self._submitted[1]

    @property
    def FILES(self) -> MultiValueDict[str, UploadedFile]:  # type: ignore[override]
        """The uploaded files, as Django's forms take them; else as `POST`."""
        return self._submitted[1]

    @cached_property
    def _submitted(self) -> tuple[QueryDict, MultiValueDict[str, UploadedFile]]:
        if self.method == "POST" and self.content_type in FORM_TYPES:
            return submitted(self._form_now())
        return QueryDict(), MultiValueDict()

    def _form_now(self) -> FormData:
        if self._form is None:
            if not can_wait():
                raise NotAwaitedError(
                    "The form of this request has not been read yet, and reading it "
                    "means waiting. Write `await request.form()` before you use "
                    "request.POST or request.FILES in an async view."
                )
            wait(self._get_form(**_limits()))
        assert self._form is not None
        return self._form

    @cached_property
    def _stream(self) -> io.BytesIO:  # type: ignore[override]
        # Where Django's read() and readline() read from.
        return io.BytesIO(self.body())

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """
        The body in pieces, as they arrive.

        Raises:
            RequestDataTooBig: It is longer than `VINYL["MAX_BODY_SIZE"]` bytes.
            ClientDisconnect: The client has gone.

        Switches to the event loop.
        """
        limit, size = max_body_size(), 0
        announced = self.headers.get("content-length", "")
        if limit is not None and announced.isdecimal() and int(announced) > limit:
            _too_big(limit, 'VINYL["MAX_BODY_SIZE"]')
        async for chunk in super().stream():
            size += len(chunk)
            if limit is not None and size > limit:
                _too_big(limit, 'VINYL["MAX_BODY_SIZE"]')
            yield chunk

    def body(self) -> Any:  # type: ignore[override]
        """
        The body in bytes; read once.

        Raises:
            RequestDataTooBig: It is longer than `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes.

        Switches to the event loop.
        """
        if can_wait():
            return wait(self._read())
        return begin(Request.body, "Request.body", self._read)

    async def _read(self) -> bytes:
        if not hasattr(self, "_body"):
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if limit is not None and size > limit:
                    _too_big(limit, "DATA_UPLOAD_MAX_MEMORY_SIZE")
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    def json(self) -> Any:
        """
        The body, decoded from JSON. Switches to the event loop.

        Raises:
            MalformedJSON: The body is no JSON: a `json.JSONDecodeError` that is
                answered with 400.
            RequestDataTooBig: As for `body()`.
        """
        if can_wait():
            return wait(self._read_json())
        return begin(Request.json, "Request.json", self._read_json)

    async def _read_json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self._read()
            try:
                self._json = load_json(body)
            except json.JSONDecodeError as error:
                raise MalformedJSON(error.msg, error.doc, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise MalformedJSON(str(error), "", 0) from error
        return self._json

    def form(self, **limits: Any) -> Any:
        """
        The submitted form, a `FormData`; files are in it, too. Read once.

        `async with request.form() as form` closes the files at the end of the block.

        Args:
            limits: As in Starlette: `max_files`, `max_fields`, `max_part_size` (bytes).
                Django's settings `DATA_UPLOAD_MAX_…` give the defaults.

        Switches to the event loop.
        """
        form = self._get_form(**(_limits() | limits))
        return wait(form) if can_wait() else FormCall(form, "Request.form")

    async def _get_form(self, **limits: Any) -> FormData:
        if self._form is None and self.content_type == "multipart/form-data":
            try:
                async with aclosing(self.stream()) as stream:
                    parser = MultiPartParser(self.headers, stream, **limits)
                    self._form = await parser.parse()
            except MultiPartException as error:
                raise BadRequest(error.message) from error
        return await super()._get_form(**limits)


def _limits() -> dict[str, Any]:
    """Django's limits under Starlette's names."""
    unlimited = float("inf")
    limits = {
        "max_files": settings.DATA_UPLOAD_MAX_NUMBER_FILES,
        "max_fields": settings.DATA_UPLOAD_MAX_NUMBER_FIELDS,
        "max_part_size": settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    }
    return {k: unlimited if v is None else v for k, v in limits.items()}


def _too_big(limit: int, setting: str) -> NoReturn:
    raise RequestDataTooBig(
        f"The body is longer than the {limit:,} bytes that {setting} allows."
    )
