"""
Strict readers of what a request brings: whole forms, JSON that is JSON, and fields and
files as Django's forms take them.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, cast

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict, multipartparser
from django.utils.datastructures import MultiValueDict
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.formparsers import MultiPartParser as StarlettesParser

__all__ = ["MultiPartParser", "load_json", "submitted"]

# Half of a character beyond U+FFFF, as JSON escapes it; the other half may follow.
HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class MultiPartParser(StarlettesParser):
    """Starlette's, which also notices that the end of the body is missing."""

    ended = False

    def on_end(self) -> None:
        self.ended = True

    async def parse(self) -> FormData:
        """
        Raises:
            MultiPartException: The body is malformed, or cut off.
        """
        form = await super().parse()
        if not self.ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("The form ends before its last boundary.")
        return form


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


def submitted(form: FormData) -> tuple[QueryDict, MultiValueDict[str, UploadedFile]]:
    """The fields and the files of *form*, as Django's forms take them."""
    data = QueryDict(mutable=True)
    files: MultiValueDict[str, UploadedFile] = MultiValueDict()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            # Browsers send a nameless file where none was chosen.
            if file := _uploaded(value):
                files.appendlist(name, file)
        else:
            data.appendlist(name, value)
    data._mutable = False
    return data, files


def _uploaded(upload: UploadFile) -> UploadedFile | None:
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
