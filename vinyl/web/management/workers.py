"""Several processes that serve one socket, for `vinyl runserver --workers`."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

__all__ = ["run_workers"]

# How often to look after the processes, and how long they may take to end, in seconds.
INTERVAL = 0.2
PATIENCE = 10.0


def run_workers(command: list[str], fd: int, count: int) -> None:
    """
    Run *count* processes of `vinyl` until this one is interrupted or terminated. One
    that a signal ends is replaced.

    Args:
        command: The arguments of `vinyl` for each process.
        fd: The descriptor of the socket, which they inherit.

    Raises:
        CommandError: A process has failed by itself, as the others would.

    Never switches.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "vinyl", *command, "--fd", str(fd)], pass_fds=[fd]
        )

    processes: list[subprocess.Popen[bytes]] = []
    with _until_terminated() as terminated:
        try:
            processes += [start() for _ in range(count)]
            while not terminated.wait(INTERVAL):
                for place, process in enumerate(processes):
                    status = process.poll()
                    if status is not None and status > 0:
                        raise CommandError(
                            f"A process that serves has failed, with exit code "
                            f"{status}; see above. The others have been stopped."
                        )
                    if status is not None:
                        processes[place] = start()
        except KeyboardInterrupt:
            # Ctrl-C has reached the processes as well.
            pass
        finally:
            _end(processes)


@contextmanager
def _until_terminated() -> Iterator[threading.Event]:
    """Give an event that SIGTERM sets, instead of ending this process."""
    terminated = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
