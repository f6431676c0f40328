"""SIGTERM and SIGHUP end pytest as Ctrl-C does: the test databases are removed."""

from __future__ import annotations

import signal
import sys
import threading
from functools import partial
from typing import Any

import pytest

__all__ = ["EndingBySignal"]


class EndingBySignal:
    """
    A plugin that turns the signals into `KeyboardInterrupt`, and the exit code into
    what a shell reports of a program that the signal has ended.

    Args:
        config: pytest's configuration, at whose end signals are as they were.
    """

    def __init__(self, config: pytest.Config) -> None:
        # The number of the signal that has arrived.
        self.number: int | None = None
        if threading.current_thread() is not threading.main_thread():
            return
        numbers = [signal.SIGTERM]
        if sys.platform != "win32":
            numbers.append(signal.SIGHUP)
        for number in numbers:
            # Who has a handler, or ignores it as nohup does, keeps that.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self.end)
                config.add_cleanup(partial(_reset, number))

    def end(self, number: int, frame: object) -> None:
        """
        Interrupt pytest. Never switches.

        Raises:
            KeyboardInterrupt: No event loop runs, whose task is cancelled instead.
        """
        self.number = number
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: Any) -> None:
        """Set the exit code. Never switches."""
        if self.number is not None:
            session.exitstatus = 128 + self.number


def _reset(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
