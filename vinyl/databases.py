"""Entries of DATABASES from URLs, for settings that come from the environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

__all__ = ["database_from_url"]


def database_from_url(url: str, base_dir: str | Path) -> dict[str, Any]:
    """
    Return the entry of DATABASES for the database at *url*.

        sqlite:///db.sqlite3                   a file in base_dir
        sqlite:////var/lib/site/db.sqlite3     a file anywhere
        sqlite:///:memory:                     a database in memory; also sqlite://:memory:
        postgres://user:p%40ss@host:5432/name?sslmode=require
        postgres:///name?host=/run/postgresql  a server behind a Unix socket
        postgres://one:5432,two:5432/name?target_session_attrs=read-write
                                               whichever of them accepts writes

    `postgresql://` means the same as `postgres://`. The query string sets OPTIONS;
    numbers, "true" and "false" in it become Python values. SQLite gets default options
    that suit a web application, which the URL can override.

    Args:
        url: The URL. Special characters in its parts are percent-encoded.
        base_dir: The folder for relative SQLite files and their test databases.

    Raises:
        ImproperlyConfigured: *url* is not valid. The message never contains its user,
            password or options.

    Never switches.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme == "sqlite" and url.partition("?")[0].endswith("//:memory:"):
        # With two slashes as well, as other libraries write it.
        url = url.replace("//:memory:", "///:memory:", 1).replace("////", "///", 1)
    try:
        parts = urlsplit(url)
        host, port = _address(parts.netloc.rpartition("@")[2])
    except ValueError:
        # Without the cause, in which urllib may quote a part of the password.
        raise _invalid("has a host or a port that is not valid") from None
    if parts.fragment:
        raise _invalid("contains the character '#', which ends a URL")
    name = unquote(parts.path[1:])
    options = {key: _value(text) for key, text in parse_qsl(parts.query)}
    match scheme:
        case "sqlite":
            if parts.netloc:
                raise _invalid(
                    "has two slashes before the file, where SQLite has no host"
                )
            if not name:
                raise _invalid("does not name a file")
            return _sqlite(name, Path(base_dir), options)
        case "postgres" | "postgresql":
            if not name:
                raise _invalid("does not name a database after the host")
            return {
                "ENGINE": "vinyl.orm.backends.postgresql",
                "NAME": name,
                "USER": unquote(parts.username or ""),
                "PASSWORD": unquote(parts.password or ""),
                # Percent-encoded, it may be the folder of a Unix socket.
                "HOST": options.pop("host", host),
                "PORT": options.pop("port", port),
                "OPTIONS": options,
            }
        case "":
            raise _invalid("does not begin with the name of a database and ://")
        case _:
            raise _invalid(f"begins with {scheme}://, for which vinyl has no backend")


def _address(text: str) -> tuple[str, int | str]:
    """
    Return host and port of *text*, "" for what it does not say; of several servers, as
    libpq expects them.

    Raises:
        ValueError: A host or a port is not valid.
    """
    servers = [urlsplit(f"//{server}") for server in text.split(",")]
    host = ",".join(unquote(server.hostname or "") for server in servers)
    if len(servers) == 1:
        return host, servers[0].port or ""
    # One for each server, or none at all.
    ports = [str(server.port or "") for server in servers]
    return host, ",".join(ports) if any(ports) else ""


def _invalid(problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"The database URL {problem}. Write sqlite:///file.sqlite3 for a file in the "
        "project or postgres://user:password@host:5432/name, with special characters "
        "in the user and the password percent-encoded (%40 for '@', %2F for '/', %23 "
        "for '#', %3F for '?'). A project made by startproject takes it from the "
        "environment variable DATABASE_URL."
    )


def _sqlite(name: str, base_dir: Path, options: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "ENGINE": "vinyl.orm.backends.sqlite3",
        "NAME": name,
        # In WAL mode nobody waits for a reader. Writers queue for up to 20 seconds, and
        # IMMEDIATE makes them queue when they begin instead of failing half-way.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            **options,
        },
    }
    if name != ":memory:":
        file = base_dir / name
        # The test database in a file too: one in memory has only one connection.
        entry |= {"NAME": file, "TEST": {"NAME": base_dir / f"test_{file.name}"}}
    return entry


def _value(text: str) -> str | int | float | bool:
    if text in {"true", "false"}:
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d+", text):
        return float(text)
    return text
