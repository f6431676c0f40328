"""A real PgBouncer in transaction mode, in front of the tests' PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

# Seconds for it to start or to stop; generous for a busy machine.
PATIENCE = 20.0

INI = """
[databases]
* = {server}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
logfile = {folder}/log
"""


def program() -> str:
    """The path of pgbouncer; skips the test where there is none."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if found is None:
        pytest.skip(
            "pgbouncer is not installed (on Debian: apt install pgbouncer; "
            "on macOS: brew install pgbouncer)"
        )
    return found


class PgBouncer:
    """
    One PgBouncer and its life.

    Args:
        url: Of the PostgreSQL database behind it.
        folder: For its socket and its files.
        size: How many connections it keeps to the server.
    """

    def __init__(self, url: str, folder: Path, size: int) -> None:
        self.program = program()
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        info = psycopg.conninfo.conninfo_to_dict(url)
        self.database = str(info.pop("dbname"))
        # auth_type = any takes every client for this user of the server.
        server = " ".join(f"{k}='{v}'" for k, v in info.items() if v not in ("", None))
        ini = INI.format(server=server, folder=folder, size=size)
        (folder / "pgbouncer.ini").write_text(ini)
        # It refuses to run as root; the owner of the server's socket can reach that.
        self.user: int | None = None
        if os.getuid() == 0:
            socket = Path(str(info.get("host", "")))
            self.user = socket.stat().st_uid if socket.is_absolute() else 65534
            os.chown(folder, self.user, -1)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, "--quiet", str(self.folder / "pgbouncer.ini")],
            user=self.user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url).close()
                return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, with its clients and their transactions."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/{self.database}?host={self.folder}&port=6432"

    def settings(self, **options: Any) -> dict[str, Any]:
        """The entry of DATABASES that docs/howto/pgbouncer.md asks for."""
        return {
            "ENGINE": "vinyl.orm.backends.postgresql",
            "NAME": self.database,
            "USER": "postgres",
            "HOST": str(self.folder),
            "PORT": "6432",
            "DISABLE_SERVER_SIDE_CURSORS": True,
            "OPTIONS": options,
        }


@contextmanager
def pgbouncer(url: str, *, size: int = 2) -> Iterator[PgBouncer]:
    """A PgBouncer that runs while the block lasts; arguments as for the class."""
    # In the system's temporary folder: the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="vinyl-pgb-") as folder:
        bouncer = PgBouncer(url, Path(folder), size)
        bouncer.start()
        try:
            yield bouncer
        finally:
            bouncer.stop()
