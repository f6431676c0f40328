"""A mail server, in the event loop of the test, which answers when the test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import django
from django.test import override_settings


class Server:
    """
    What came in, and when to answer.

    It takes a mail only after a task of the loop has counted to `ticks`: a sender that
    blocks the loop waits in vain, until its own timeout.
    """

    def __init__(self, ticks: int = 20) -> None:
        self.ticks = ticks
        self.mails: list[str] = []
        # The address that each mail is for.
        self.recipients: list[str] = []

    async def talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())

        say("220 mail.test")
        while line := await reader.readline():
            command = line.decode().strip()
            if command.upper() == "DATA":
                say("354 go on")
                text = await reader.readuntil(b"\r\n.\r\n")
                for _ in range(self.ticks):
                    await asyncio.sleep(0)
                self.mails.append(text.decode())
                say("250 taken")
            elif command.upper() == "QUIT":
                say("221 bye")
                break
            else:
                if command.upper().startswith("RCPT"):
                    address = command.partition("<")[2].partition(">")[0]
                    self.recipients.append(address)
                say("550 no such mailbox" if "nobody" in command else "250 fine")
        writer.close()


def mailer(backend: str, **options: Any) -> dict[str, Any]:
    """
    The settings that make *backend* the only one: one of `django.core.mail.backends`,
    or a dotted path.
    """
    own = f"django.core.mail.backends.{backend}.EmailBackend"
    path = backend if "." in backend else own
    if django.VERSION >= (6, 1):
        return {"MAILERS": {"default": {"BACKEND": path, "OPTIONS": options}}}
    names = {f"EMAIL_{name.upper()}": value for name, value in options.items()}
    return {"EMAIL_BACKEND": path, **names}


def admins(*addresses: str) -> dict[str, Any]:
    """The setting that has mail for the admins sent to *addresses*."""
    old = django.VERSION < (6, 0)
    return {"ADMINS": [(it, it) if old else it for it in addresses]}


@asynccontextmanager
async def mail_server(**options: Any) -> AsyncIterator[Server]:
    """A `Server` that Django's settings lead to."""
    state = Server(**options)
    server = await asyncio.start_server(state.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        address = {"host": "127.0.0.1", "port": port, "timeout": 5}
        settings = mailer("smtp", **address) | admins("admin@records.test")
        with override_settings(**settings):
            yield state
