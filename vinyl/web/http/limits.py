"""How long a body may be, and how long a client may take to send it."""

from __future__ import annotations

from typing import NoReturn

from django.core.exceptions import RequestDataTooBig
from starlette.exceptions import HTTPException

from vinyl.conf import vinyl_settings

__all__ = ["BodyTimeout", "check_size", "time_limit"]

# A long body may take longer: one more second for each of so many bytes received.
MIN_RATE_BYTES = 1000


class BodyTimeout(HTTPException):
    """
    The client took too long to send the body: 408, and the connection is closed.

    Args:
        size: The number of bytes that have arrived.
        waited: How long the server has waited for them, in seconds.
        http_version: Such as "1.1" or "2".
    """

    def __init__(self, size: int, waited: float, http_version: str) -> None:
        # HTTP/2 ends a connection by other means, and forbids the header.
        headers = {"Connection": "close"} if http_version.startswith("1") else None
        super().__init__(
            408,
            f"The request body did not arrive in time: "
            f"{size:,} bytes in {waited:.1f} s.",
            headers,
        )


def time_limit(received: int) -> float | None:
    """
    Return how long a client may take to send a body, in seconds; None for ever. Never
    switches.

    Args:
        received: The number of bytes that have arrived.
    """
    timeout = vinyl_settings.BODY_TIMEOUT
    return None if timeout is None else timeout + received / MIN_RATE_BYTES


def check_size(size: int, memory_limit: int | None = None) -> None:
    """
    Check the length of a body, of which there may be more to come. Never switches.

    Args:
        size: In bytes.
        memory_limit: `DATA_UPLOAD_MAX_MEMORY_SIZE` if the body is read into memory.

    Raises:
        RequestDataTooBig: It is longer than *memory_limit* or `VINYL["MAX_BODY_SIZE"]`.
    """
    if memory_limit is not None and size > memory_limit:
        _refuse_size(memory_limit, "DATA_UPLOAD_MAX_MEMORY_SIZE")
    maximum = vinyl_settings.MAX_BODY_SIZE
    if maximum is not None and size > maximum:
        _refuse_size(maximum, 'VINYL["MAX_BODY_SIZE"]')


def _refuse_size(limit: int, setting: str) -> NoReturn:
    raise RequestDataTooBig(
        f"The request body is longer than the {limit:,} bytes that {setting} allows."
    )
