"""Outages: how long connects wait for a server that is away, such as in a restart."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator

__all__ = ["Outage", "pauses_between_connects"]

# The pause after the first failed connect, and the longest that doubling leads to, in
# seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5


class Outage:
    """
    The time that a server is away, as the connections of one pool see it. They wait for
    it together: when the time is over, all fail, and later ones fail at once until the
    server is back.

    Args:
        timeout: How long to wait for the server, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        # When the first and the latest connect of the outage failed, in
        # time.monotonic().
        self.began = self.latest = -math.inf

    def time_left(self) -> float:
        """
        Note that the server is away. Return how long to wait for it, in seconds; 0 or
        less if the time is over. Never switches.
        """
        now = time.monotonic()
        if now - self.latest > self.timeout:
            # Nobody has asked for long: that outage may have ended, unseen.
            self.began = now
        self.latest = now
        return self.began + self.timeout - now

    def end(self) -> None:
        """Note that the server is back. Never switches."""
        self.began = self.latest = -math.inf


def pauses_between_connects() -> Iterator[float]:
    """
    Yield how long to wait after each failed connect, in seconds. Random, so that those
    that failed together do not all come back together. Never switches.
    """
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1)
        pause = min(2 * pause, LONGEST_PAUSE)
