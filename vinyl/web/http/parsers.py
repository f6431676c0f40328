"""
What is in a body: forms and files, which Django's own parsers read, and strict JSON.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import (
    MemoryFileUploadHandler,
    TemporaryFileUploadHandler,
)
from django.core.handlers.asgi import ASGIRequest
from django.http import QueryDict, multipartparser
from django.utils.datastructures import MultiValueDict
from django.utils.encoding import force_str
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.types import Scope

from vinyl.bridge.threads import atomic_in_thread, in_thread
from vinyl.web.http.bodies import Body

if TYPE_CHECKING:
    from vinyl.web.http.reading import ReadableRequest

__all__ = [
    "FORM_TYPES",
    "django_request",
    "form_data",
    "load_json",
    "parse_form",
    "submitted",
]

Submitted: TypeAlias = "tuple[QueryDict, MultiValueDict[str, UploadedFile[Any]]]"

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
FORM_TYPES = frozenset({URLENCODED, MULTIPART})

# Forms that are longer are parsed in a thread, of which there are so many.
INLINE_BYTES = 16 * 2**10
PARSING_THREADS = 10
# How much of a form is searched at a time.
BLOCK_BYTES = 64 * 2**10

# The codecs of Python that decode bytes to text, but are no character sets.
NO_CHARSETS = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)

# What ASGI says of a request. (What vinyl adds refers back to its own request.)
OF_ASGI = (
    "client headers http_version method path query_string root_path scheme server type"
)

# Half of a character beyond U+FFFF, as JSON escapes it; the other half may follow.
HALF = re.compile(rb"\\u[dD][89a-fA-F]")


# ----- Forms


def django_request(scope: Scope) -> ASGIRequest:
    """
    Django's own request of *scope*, without the body.

    Raises:
        BadRequest: The query string is not UTF-8, or the Content-Type is malformed.
    """
    told = {key: scope[key] for key in OF_ASGI.split() if key in scope}
    try:
        return ASGIRequest(told, io.BytesIO())
    except UnicodeDecodeError as error:
        raise BadRequest(f"The query string is not UTF-8: {error}") from error
    except ValueError as error:
        raise BadRequest(f"The Content-Type header is malformed: {error}") from error


async def parse_form(request: ReadableRequest, body: Body) -> Submitted:
    """
    The fields and the files of the form in *body*, as Django's request has them after
    a POST. Long forms, and those for upload handlers that are not Django's, are parsed
    in a thread.

    Raises:
        BadRequest: It is malformed, cut off, or in a charset that it cannot be in.
        RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent: It breaks a limit of
            Django's settings.

    Switches to the event loop.
    """
    if request.content_type == URLENCODED:
        if request.encoding and request.encoding.lower() != "utf-8":
            raise BadRequest(
                f"The form is {URLENCODED} in {request.encoding!r}, but that type is "
                f"always UTF-8."
            )
        content = await body.content(request.receive)
        return await _called(len(content) > INLINE_BYTES, _fields, content)
    _check_charset(request.encoding)
    spool = await body.load(request.receive)
    size = spool.size
    blocks = size > INLINE_BYTES or _may_block(request.upload_handlers, size)

    async def parse(file: Any) -> Submitted:
        return await _called(blocks, _parts, request, file, size)

    return await spool.lend(parse)


async def _called(blocks: bool, fn: Callable[..., Submitted], *args: Any) -> Submitted:
    """`fn(*args)`, in a thread if it blocks."""
    if not blocks:
        return fn(*args)
    # It takes no part in a transaction that is open in another thread.
    with atomic_in_thread(()):
        return await _call_in_thread(fn, *args)


@in_thread(limit=PARSING_THREADS)
def _call_in_thread(fn: Callable[..., Submitted], *args: Any) -> Submitted:
    return fn(*args)


def _fields(content: bytes) -> Submitted:
    return QueryDict(content, encoding="utf-8"), MultiValueDict()


def _parts(request: ReadableRequest, file: Any, size: int) -> Submitted:
    boundary = request.content_params.get("boundary", "")
    # A boundary that is none is refused by the parser.
    if size and boundary and boundary.isascii():
        if not _ends(file, f"--{boundary}--".encode()):
            raise BadRequest("The form ends before its last boundary.")
        file.seek(0)
    # From a form whose length is not announced Django's parser reads nothing.
    meta = {**request.META, "CONTENT_LENGTH": str(size)}
    try:
        return request.parse_file_upload(meta, file)
    except multipartparser.MultiPartParserError as error:
        raise BadRequest(str(error)) from error


def _may_block(handlers: Iterable[Any], size: int) -> bool:
    """Whether *handlers* may do more than to put so many bytes into memory."""
    kinds = [type(handler) for handler in handlers]
    in_memory = (
        kinds[:1] == [MemoryFileUploadHandler]
        and set(kinds) <= {MemoryFileUploadHandler, TemporaryFileUploadHandler}
        and size <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE
    )
    return not in_memory


def _ends(file: Any, end: bytes) -> bool:
    """Whether *end* is in *file*, most likely near its end."""
    position, later = file.seek(0, os.SEEK_END), b""
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        file.seek(start)
        block = file.read(position - start) + later
        if end in block:
            return True
        position, later = start, block[: len(end) - 1]
    return False


def _check_charset(name: str | None) -> None:
    """
    Raises:
        BadRequest: What the client calls a charset makes no text of bytes.
    """
    if name is None:
        return
    try:
        b"a".decode(name, "replace")
        known = codecs.lookup(name).name not in NO_CHARSETS
    except (LookupError, ValueError):
        known = False
    if not known:
        raise BadRequest(f"The form is in the charset {name!r}, which is none.")


def form_data(
    post: QueryDict, files: MultiValueDict[str, UploadedFile[Any]]
) -> FormData:
    """Fields and files as Starlette's `request.form()` gives them."""
    items: list[tuple[str, str | UploadFile]] = [
        (name, str(value)) for name, values in post.lists() for value in values
    ]
    for name, uploads in files.lists():
        items += [(name, _starlettes(upload)) for upload in uploads]
    return FormData(items)


def _starlettes(uploaded: UploadedFile[Any]) -> UploadFile:
    # An upload handler may give another kind of file.
    kind = getattr(uploaded, "content_type", "") or ""
    for name, value in (getattr(uploaded, "content_type_extra", None) or {}).items():
        kind += f"; {name}={force_str(value, 'latin-1')}"
    headers = Headers({"content-type": kind} if kind else {})
    size, name = getattr(uploaded, "size", None), getattr(uploaded, "name", None)
    return UploadFile(cast(Any, uploaded), size=size, filename=name, headers=headers)


def submitted(form: FormData) -> Submitted:
    """The fields and the files of *form*, as Django's forms take them."""
    data = QueryDict(mutable=True)
    files: MultiValueDict[str, UploadedFile[Any]] = MultiValueDict()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            # Browsers send a nameless file where none was chosen.
            if file := _djangos(value):
                files.appendlist(name, file)
        else:
            data.appendlist(name, value)
    data._mutable = False
    return data, files


def _djangos(upload: UploadFile) -> UploadedFile[Any] | None:
    if isinstance(upload.file, UploadedFile):
        return upload.file
    # It keeps no state; what it makes of a name is the last part that can be printed.
    name = multipartparser.MultiPartParser.sanitize_file_name(
        cast(Any, None), upload.filename or ""
    )
    if name is None:
        return None
    return UploadedFile(
        file=upload.file,
        name=name,
        content_type=(upload.content_type or "").partition(";")[0].strip(),
        size=upload.size,
    )


# ----- JSON


def load_json(body: bytes) -> Any:
    """
    The value of *body*.

    Raises:
        ValueError: It is no JSON, which has no `NaN` and no halves of characters: no
            database stores those, and no answer could contain them.
        RecursionError: It is nested too deeply.
    """
    value = json.loads(body, parse_constant=_refuse)
    if HALF.search(body):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value.")
