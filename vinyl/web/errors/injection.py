"""No header of a response brings others with it, whatever the server checks."""

from __future__ import annotations

import re

from django.http import BadHeaderError
from starlette.types import Message

__all__ = ["refuse_injection"]

BREAKS = re.compile(rb"[\r\n\0]")


def refuse_injection(message: Message) -> None:
    """
    Raises:
        BadHeaderError: A header of *message* contains a line break or a NUL.
    """
    headers = message.get("headers") or ()
    # One search for all of them: this is done for each response.
    if BREAKS.search(b"".join(part for header in headers for part in header)):
        for name, value in headers:
            if BREAKS.search(name) or BREAKS.search(value):
                raise BadHeaderError(
                    f"The header {name!r} has the value {value!r}. A line break or a "
                    f"NUL in it would add headers of somebody else's, so nothing was "
                    f"sent. Check the text before it becomes part of a header."
                )
