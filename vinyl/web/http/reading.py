"""
Reading a request: its headers and query under Django's names, and its body as a form,
as JSON or as bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    ItemsView,
    Iterator,
    KeysView,
    ValuesView,
)
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ParamSpec, cast

import starlette.requests
from django.core.exceptions import BadRequest
from django.core.files.uploadedfile import UploadedFile
from django.core.handlers.asgi import ASGIRequest
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.functional import cached_property
from starlette.datastructures import FormData
from starlette.types import Scope

from vinyl.bridge.calls import Call, Dual
from vinyl.bridge.threads import can_wait, dual_coroutine, wait
from vinyl.exceptions import NotAwaitedError
from vinyl.web.http.assigned_class import AssignedClass
from vinyl.web.http.bodies import Body
from vinyl.web.http.body_attribute import ReadBody, UnreadBody
from vinyl.web.http.cookies import cookies_of
from vinyl.web.http.headers import RequestHeaders
from vinyl.web.http.meta import Meta, headers_in
from vinyl.web.http.parsers import (
    FORM_TYPES,
    form_data,
    parse_form,
    parse_form_now,
)
from vinyl.web.http.prefix import path_info
from vinyl.web.http.spool import Spool, SpoolReader
from vinyl.web.http.strict_json import load_json

__all__ = ["MalformedJSON", "ReadableRequest", "django_request"]

P = ParamSpec("P")

# The keys of the scope that ASGI defines. Those of vinyl hold its own request.
ASGI_KEYS = (
    "client",
    "headers",
    "http_version",
    "method",
    "path",
    "query_string",
    "root_path",
    "scheme",
    "server",
    "type",
)


class MalformedJSON(BadRequest, json.JSONDecodeError):
    """The body is not JSON: 400, unless the view catches it."""


class FormCall(Call):
    """
    A call of `request.form()` that has not been awaited yet. As an async context
    manager it closes the files of the form at the end of the block.
    """

    __slots__ = ("_form",)

    async def __aenter__(self) -> FormData:
        self._form = await self
        return self._form

    async def __aexit__(self, *error: object) -> None:
        await self._form.close()


if TYPE_CHECKING:

    class DualForm(Dual[FormData]):
        """What `request.form()` returns: the form in sync mode, else a call."""

        async def __aenter__(self) -> FormData: ...
        async def __aexit__(self, *error: object) -> None: ...


def dual_form(
    form: Callable[P, Coroutine[Any, Any, FormData]],
) -> Callable[P, DualForm]:
    """Make *form* dual-mode, with a type for both modes."""
    return dual_coroutine("Request.form", FormCall)(form)


def django_request(scope: Scope) -> ASGIRequest:
    """
    Return Django's own request of *scope*, without the body.

    Raises:
        BadRequest: The query string is not UTF-8, or the Content-Type is malformed.

    Never switches.
    """
    known = {key: scope[key] for key in ASGI_KEYS if key in scope}
    try:
        return ASGIRequest(known, io.BytesIO())
    except UnicodeDecodeError as error:
        raise BadRequest(f"The query string is not UTF-8: {error}") from error
    except ValueError as error:
        raise BadRequest(f"The Content-Type header is malformed: {error}") from error


class ReadableRequest(AssignedClass, starlette.requests.Request, ASGIRequest):  # type: ignore[misc, override]
    """The part of `vinyl.web.Request` that reads headers, query and body."""

    _encoding: str | None = None
    # The META that was assigned, and that `headers` were read from.
    _meta_read: Any = None
    # Whether read() was called; Django REST framework reads this attribute.
    _read_started = False

    @cached_property
    def django_request(self) -> ASGIRequest:
        """Django's own request of the same scope, without the body."""
        return django_request(self.scope)

    @cached_property
    def META(self) -> dict[str, Any]:  # type: ignore[override]
        """
        Headers and addresses under the names of CGI.

        Raises:
            BadRequest: The query string is not UTF-8.
        """
        meta = self.django_request.META
        prefix = self.scope.get("root_path") or ""
        return Meta(meta | {"SCRIPT_NAME": prefix, "PATH_INFO": path_info(self.scope)})

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]
        """
        The parameters of the query string.

        Raises:
            BadRequest: It is not UTF-8.
            TooManyFieldsSent: There are more than `DATA_UPLOAD_MAX_NUMBER_FIELDS`.
        """
        query = self.META.get("QUERY_STRING", "")
        return QueryDict(query, encoding=self._encoding)

    @property
    def headers(self) -> RequestHeaders:  # type: ignore[override]
        """
        The headers, by their names in any case, or by those with underscores. They
        follow what middleware writes into `META`.
        """
        known = vars(self)
        meta = known.get("META")
        if meta is not None and getattr(meta, "changed", meta is not self._meta_read):
            self._headers = RequestHeaders(headers_in(meta))
            self._meta_read = meta
            if isinstance(meta, Meta):
                meta.changed = False
        elif "_headers" not in known:
            self._headers = RequestHeaders(self.scope["headers"])
        return cast(RequestHeaders, self._headers)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies, read as UTF-8."""
        if not hasattr(self, "_cookies"):
            self._cookies = cookies_of(self.scope)
        return self._cookies

    @property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]
        return self.cookies

    @property
    def content_type(self) -> str:  # type: ignore[override]
        """The media type of the body, without parameters; empty if there is none."""
        return self.django_request.content_type or ""

    @property
    def content_params(self) -> dict[str, str]:  # type: ignore[override]
        return self.django_request.content_params or {}

    def _get_scheme(self) -> str:
        return self.scope.get("scheme") or "http"

    # ----- The form

    @property  # type: ignore[override]
    def POST(self) -> QueryDict:
        """
        The fields of a submitted form; empty if no form was sent with POST.

        Raises:
            NotAwaitedError: On the event loop, before the body has arrived: in
                middleware, before `await request.form()`.

        Switches to the event loop in the bridge.
        """
        if not hasattr(self, "_post"):
            self._post, self._files = self._posted()
        return self._post

    @POST.setter
    def POST(self, data: QueryDict) -> None:
        # Django's UserAdmin adds fields to it.
        self._post = data

    @property
    def FILES(self) -> MultiValueDict[str, UploadedFile[Any]]:  # type: ignore[override]
        """
        The uploaded files, as Django's forms take them; empty if no form was sent with
        POST.

        Raises:
            NotAwaitedError: On the event loop, before the body has arrived: in
                middleware, before `await request.form()`.

        Switches to the event loop in the bridge.
        """
        if not hasattr(self, "_files"):
            self._post, self._files = self._posted()
        return self._files

    def _posted(self) -> tuple[QueryDict, MultiValueDict[str, UploadedFile[Any]]]:
        if self.method != "POST" or self.content_type not in FORM_TYPES:
            return QueryDict(), MultiValueDict()
        if self._form is None:
            if can_wait():
                wait(self._get_form())
            elif not self._parse_now(self._whole_body):
                raise NotAwaitedError(
                    "The form of this request has not arrived yet, and receiving it "
                    "means waiting. Write `await request.form()` before you use "
                    "request.POST or request.FILES in async code."
                )
        return self._whole_body.forms[self.encoding]

    def _parse_now(self, body: Body) -> bool:
        """Parse the form in *body*, and return whether it has arrived."""
        if self.encoding not in body.forms:
            vars(self).pop("_files", None)
            fields = parse_form_now(self, body)
            if fields is None:
                return False
            body.forms[self.encoding] = fields
        self._form = form_data(*body.forms[self.encoding])
        return True

    @property
    def encoding(self) -> str | None:
        """
        The encoding that was set, for `GET` and `POST`; or the charset of the
        Content-Type header, for the form. None for UTF-8.
        """
        return self._encoding or self.django_request.encoding

    @encoding.setter
    def encoding(self, encoding: str | None) -> None:
        self._encoding = encoding
        # They are decoded again on their next use.
        for name in ("GET", "_post", "_files"):
            vars(self).pop(name, None)
        self._form = None

    @dual_form
    async def form(self, **limits: Any) -> FormData:
        """
        Return the submitted form, a `FormData` that contains its files, too. It is
        parsed once, by Django's parsers and upload handlers and within Django's limits.

        `async with request.form() as form` closes the files at the end of the block.

        Raises:
            BadRequest: It is malformed or incomplete: 400. Also a
                `MultiPartParserError`, as in Django, unless its charset is the fault.
            TooManyFieldsSent, TooManyFilesSent: 400.
            RequestDataTooBig, BodyTimeout, ClientDisconnect: As for `body()`.
            TypeError: It was given the arguments of Starlette's `form()`.

        Switches to the event loop.
        """
        if limits:
            raise TypeError(
                f"request.form() was given {', '.join(limits)}, but forms are read by "
                f"Django's parsers, which take their limits from the settings. Set "
                f"DATA_UPLOAD_MAX_NUMBER_FIELDS, DATA_UPLOAD_MAX_NUMBER_FILES and "
                f"DATA_UPLOAD_MAX_MEMORY_SIZE."
            )
        return await self._get_form()

    async def _get_form(self, **limits: Any) -> FormData:
        # Starlette calls this with its own limits; Django's come from the settings.
        if self._form is None:
            fields: Any = QueryDict(), MultiValueDict()
            if self.content_type in FORM_TYPES:
                fields = await self._parsed_once(self._whole_body)
                if self.method == "POST":
                    self._post, self._files = fields
            self._form = form_data(*fields)
        return self._form

    async def _parsed_once(self, body: Body) -> Any:
        async with body.parsing:
            if self.encoding not in body.forms:
                # A report may have left these empty, as if the form had been read.
                vars(self).pop("_files", None)
                body.forms[self.encoding] = await parse_form(self, body, self.receive)
        return body.forms[self.encoding]

    # ----- The body

    @property
    def _whole_body(self) -> Body:
        return Body.of(self.scope, self._receive)

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """
        Iterate over the body: as it arrives, or from memory or the disk if it has been
        received already, as for a plain view, a form or JSON, and `ATOMIC_REQUESTS`.

        Raises:
            RequestDataTooBig: It is longer than `VINYL["MAX_BODY_SIZE"]` bytes: 413.
            BodyTimeout: It does not arrive within `VINYL["BODY_TIMEOUT"]` seconds: 408.
            ClientDisconnect: The client has left.

        Switches to the event loop.
        """
        async with aclosing(self._whole_body.pieces(self._receive)) as pieces:
            async for piece in pieces:
                yield piece
        yield b""

    @property
    def body(self) -> ReadBody:
        """
        The body in bytes: `request.body()`, awaited in an async view, or Django's
        `request.body` where no `await` is needed: in a plain view, and once the body
        has arrived.

        Raises:
            RequestDataTooBig: It is longer than `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes:
                413.
            BodyTimeout, ClientDisconnect: As for `stream()`.

        Switches to the event loop in the bridge.
        """
        content = wait(self._read()) if can_wait() else self._whole_body.content_now()
        if content is None:
            # It can be called as well, but has no value.
            return cast(Any, UnreadBody(self._read))
        return ReadBody.of(content, self._read)

    async def _read(self) -> bytes:
        return await self._whole_body.content(self._receive)

    @dual_coroutine("Request.json")
    async def json(self) -> Any:
        """
        Return the value of the body, which is JSON.

        Raises:
            MalformedJSON: The body is not JSON: a `json.JSONDecodeError` that is
                answered with 400.
            RequestDataTooBig, BodyTimeout, ClientDisconnect: As for `body()`.

        Switches to the event loop.
        """
        if not hasattr(self, "_json"):
            body = await self._read()
            try:
                self._json = load_json(body)
            except json.JSONDecodeError as error:
                raise MalformedJSON(error.msg, error.doc, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise MalformedJSON(str(error), "", 0) from error
        return self._json

    @cached_property
    def _stream(self) -> io.BufferedReader:  # type: ignore[override]
        # Django's read() and readline() use it.
        if can_wait():
            spool: Spool | None = wait(self._whole_body.load(self._receive))
        else:
            spool = self._whole_body.spool_now()
        if spool is None:
            raise NotAwaitedError(
                "request.read() was called on the event loop before the body of the "
                "request had arrived, and receiving it means waiting. Write `await "
                "request.body()`, or iterate over `request.stream()`."
            )
        return io.BufferedReader(SpoolReader(spool))

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        """The lines of the body, as in Django. As `read()`, it may switch."""
        return iter(self.readline, b"")

    # Starlette's keys and values of the scope, which would iterate over the request.

    def keys(self) -> KeysView[str]:
        return self.scope.keys()

    def values(self) -> ValuesView[Any]:
        return self.scope.values()

    def items(self) -> ItemsView[str, Any]:
        return self.scope.items()

    @dual_coroutine("Request.close")
    async def close(self) -> None:
        """Close the files of the body. Switches to the event loop."""
        await self._whole_body.close()
