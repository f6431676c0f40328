"""Sending a notification."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from vinyl.bridge.mode import dual
from vinyl.orm.dualmode.notifications import (
    check_channels,
    check_has_notifications,
)

__all__ = ["notify"]

# PostgreSQL's limit, in bytes; see NOTIFY_PAYLOAD_MAX_LENGTH in its source.
MAX_PAYLOAD_BYTES = 7_999


def _notify(channel: str, payload: str = "", *, using: str = DEFAULT_DB_ALIAS) -> None:
    """
    Send a notification to all listeners of *channel*, in all processes.

    Inside a transaction it is sent with the commit, or not at all after a rollback;
    PostgreSQL sends equal notifications of one transaction once.

    Args:
        channel: The name of the channel, up to 63 bytes.
        payload: A text of up to 7,999 bytes. Send a key rather than data.
        using: The alias of the database.

    Raises:
        NotSupportedError: The database does not support notifications.
        TypeError: *channel* or *payload* is not a string.
        ValueError: PostgreSQL does not accept *channel* or *payload*.

    Switches to the event loop.
    """
    check_channels("notify()", (channel,))
    _check_payload(payload)
    connection: Any = connections[using]
    check_has_notifications("notify()", connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])


notify = dual(_notify, name="notify")


def _check_payload(payload: Any) -> None:
    if not isinstance(payload, str):
        raise TypeError(
            f"notify() was given the payload {payload!r}, but a payload must be a "
            f"string. Convert it, for instance with str() or json.dumps()."
        )
    if "\0" in payload:
        raise ValueError(
            "notify() was given a payload with a NUL character, which PostgreSQL "
            "cannot store in a text. Remove or encode it."
        )
    try:
        size = len(payload.encode())
    except UnicodeEncodeError:
        raise ValueError(
            f"notify() was given the payload {payload!r}, which has lone surrogates, "
            f"so it cannot be sent as UTF-8. Remove or encode them."
        ) from None
    if size > MAX_PAYLOAD_BYTES:
        raise ValueError(
            f"notify() was given a payload of {size:,} bytes, but PostgreSQL accepts "
            f"at most {MAX_PAYLOAD_BYTES:,}. Store the data in a table, and send its "
            f"key."
        )
