"""Strict readers of what a request brings: whole forms, JSON that is JSON."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.formparsers import MultiPartParser as StarlettesParser

__all__ = ["MultiPartParser", "load_json"]

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
            await form.close()
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
