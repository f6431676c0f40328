"""Forms and their files, read by Django's own parsers."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias, cast

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import (
    MemoryFileUploadHandler,
    TemporaryFileUploadHandler,
)
from django.http import HttpRequest, QueryDict, multipartparser
from django.utils.datastructures import MultiValueDict
from django.utils.encoding import force_str
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.types import Receive

from vinyl.bridge.threads import atomic_in_thread, in_thread
from vinyl.web.http.bodies import Body

__all__ = [
    "FORM_TYPES",
    "form_data",
    "parse_form",
    "parse_form_now",
    "submitted",
]

Submitted: TypeAlias = "tuple[QueryDict, MultiValueDict[str, UploadedFile[Any]]]"

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
FORM_TYPES = frozenset({URLENCODED, MULTIPART})

# Longer forms are parsed in a thread; at most so many threads do this at a time.
INLINE_BYTES = 16 * 2**10
PARSING_THREADS = 10
# The end of a form is searched in blocks of this size.
BLOCK_BYTES = 64 * 2**10

# Codecs of Python that decode bytes to text, but are not character sets.
NOT_CHARSETS = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)


class MalformedForm(BadRequest, multipartparser.MultiPartParserError):
    """The form is malformed or incomplete: 400, unless the view catches it."""


async def parse_form(request: HttpRequest, body: Body, receive: Receive) -> Submitted:
    """
    Return the fields and the files of the form in *body*, as Django's request has them
    after a POST. A long form is parsed in a thread, and so is any form if there are
    upload handlers other than Django's.

    Args:
        request: The request, whose headers describe the form.
        receive: The `receive` of the reader, through the middleware around it.

    Raises:
        MalformedForm: It is malformed or incomplete.
        BadRequest: It is in a charset that it cannot have.
        RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent: It exceeds a limit of
            Django's settings.
        BodyTimeout, ClientDisconnect: As for `Body.load()`.

    Switches to the event loop.
    """
    _check_charset(request)
    if request.content_type == URLENCODED:
        content = await body.content(receive)
        return await _called(len(content) > INLINE_BYTES, _fields, content)
    spool = await body.load(receive)
    size = spool.size
    blocks = size > INLINE_BYTES or _may_block(request.upload_handlers, size)

    async def parse(file: Any) -> Submitted:
        return await _called(blocks, _parts, request, file, size)

    return await spool.lend(parse)


def parse_form_now(request: HttpRequest, body: Body) -> Submitted | None:
    """
    Return what `parse_form()` does, for code that cannot wait; None if the body has not
    arrived, or a task is reading it.

    Raises:
        MalformedForm, BadRequest, RequestDataTooBig, TooManyFieldsSent,
            TooManyFilesSent: As for `parse_form()`.

    Never switches.
    """
    _check_charset(request)
    if request.content_type == URLENCODED:
        content = body.content_now()
        return None if content is None else _fields(content)
    if body.parsing.locked() or (spool := body.spool_now()) is None:
        return None
    return spool.lend_now(partial(_parts, request, size=spool.size))


async def _called(blocks: bool, fn: Callable[..., Submitted], *args: Any) -> Submitted:
    """`fn(*args)`, in a thread if it blocks."""
    if not blocks:
        return fn(*args)
    # It must not take part in a transaction that is open in another thread.
    with atomic_in_thread(()):
        return await _call_in_thread(fn, *args)


@in_thread(limit=PARSING_THREADS)
def _call_in_thread(fn: Callable[..., Submitted], *args: Any) -> Submitted:
    return fn(*args)


def _fields(content: bytes) -> Submitted:
    return QueryDict(content, encoding="utf-8"), MultiValueDict()


def _parts(request: HttpRequest, file: Any, size: int) -> Submitted:
    boundary = (request.content_params or {}).get("boundary", "")
    # The parser itself refuses a malformed boundary.
    if size and boundary and boundary.isascii():
        if not _ends(file, f"--{boundary}--".encode()):
            raise MalformedForm("The form ends before its last boundary.")
        file.seek(0)
    # Django's parser reads nothing of a form whose length the headers do not say.
    meta = {**request.META, "CONTENT_LENGTH": str(size)}
    try:
        return request.parse_file_upload(meta, file)
    except multipartparser.MultiPartParserError as error:
        raise MalformedForm(str(error)) from error


def _may_block(handlers: Iterable[Any], size: int) -> bool:
    """Whether *handlers* may do more than to copy *size* bytes in memory."""
    kinds = [type(handler) for handler in handlers]
    in_memory = (
        kinds[:1] == [MemoryFileUploadHandler]
        and set(kinds) <= {MemoryFileUploadHandler, TemporaryFileUploadHandler}
        and size <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE
    )
    return not in_memory


def _ends(file: Any, end: bytes) -> bool:
    """Whether *end* is in *file*, searched backwards: it should be near the end."""
    position, later = file.seek(0, os.SEEK_END), b""
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        file.seek(start)
        block = file.read(position - start) + later
        if end in block:
            return True
        position, later = start, block[: len(end) - 1]
    return False


def _check_charset(request: HttpRequest) -> None:
    """
    Raises:
        BadRequest: The charset of the form is unknown, or not possible for its type.
    """
    name = request.encoding
    if name is None:
        return
    if request.content_type == URLENCODED:
        if name.lower() != "utf-8":
            raise BadRequest(
                f"The form has the type {URLENCODED} and the charset {name!r}, but "
                f"forms of this type are always UTF-8."
            )
        return
    try:
        b"a".decode(name, "replace")
        known = codecs.lookup(name).name not in NOT_CHARSETS
    except (LookupError, ValueError):
        known = False
    if not known:
        raise BadRequest(f"The form has the charset {name!r}, which is unknown.")


def form_data(
    post: QueryDict, files: MultiValueDict[str, UploadedFile[Any]]
) -> FormData:
    """
    Return fields and files as Starlette's `request.form()` gives them. Never switches.
    """
    items: list[tuple[str, str | UploadFile]] = [
        (name, str(value)) for name, values in post.lists() for value in values
    ]
    for name, uploads in files.lists():
        items += [(name, _starlettes(upload)) for upload in uploads]
    return FormData(items)


def _starlettes(uploaded: UploadedFile[Any]) -> UploadFile:
    # An upload handler may have made another kind of file.
    kind = getattr(uploaded, "content_type", "") or ""
    for name, value in (getattr(uploaded, "content_type_extra", None) or {}).items():
        kind += f"; {name}={force_str(value, 'latin-1')}"
    headers = Headers({"content-type": kind} if kind else {})
    size, name = getattr(uploaded, "size", None), getattr(uploaded, "name", None)
    return UploadFile(cast(Any, uploaded), size=size, filename=name, headers=headers)


def submitted(form: FormData) -> Submitted:
    """
    Return the fields and the files of *form* as Django's forms take them. Never
    switches.
    """
    data = QueryDict(mutable=True)
    files: MultiValueDict[str, UploadedFile[Any]] = MultiValueDict()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            # Browsers send a file without a name if none was chosen.
            if file := _djangos(value):
                files.appendlist(name, file)
        else:
            data.appendlist(name, value)
    data._mutable = False
    return data, files


def _djangos(upload: UploadFile) -> UploadedFile[Any] | None:
    if isinstance(upload.file, UploadedFile):
        return upload.file
    # The method does not use its instance. It removes folders and control characters.
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
