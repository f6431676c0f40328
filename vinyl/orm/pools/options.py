"""The options of a pool: `DATABASES[alias]["OPTIONS"]["pool"]`, read and checked."""

from __future__ import annotations

import difflib
from typing import Any, Self

from vinyl.records import NamedTuple

__all__ = ["IGNORED", "PoolOptions"]

# What else psycopg_pool.ConnectionPool takes, which has no effect here; and for each
# what to use instead.
IGNORED = {
    "check": "Set 'check_idle', which decides when a connection is checked.",
    "close_returns": "Vinyl closes connections by itself and never needs it.",
    "configure": "Use the signal connection_created of django.db.backends.signals.",
    "connection_class": "The ENGINE decides it.",
    "conninfo": "Write what it contains into DATABASES.",
    "kwargs": "Write what it contains into OPTIONS.",
    "name": "The pool is named after the alias.",
    "num_workers": "Connections are opened on the event loop, without threads.",
    "open": "The pool opens by itself; 'min_size' says with how many connections.",
    "reconnect_failed": "Failures are logged to 'vinyl.pool'.",
    "reset": "A connection that was changed is closed instead of reset.",
}


class PoolOptions(NamedTuple):
    """
    The options of a pool. Where psycopg_pool has the same option, the name is its name.
    Times are in seconds.
    """

    # Connections that are kept open even while they are idle.
    min_size: int = 0
    # Connections open at the same time.
    max_size: int = 10
    # Longest wait for a free connection.
    timeout: float = 30.0
    # How long connects wait for a server that is away, such as in a restart. Never
    # longer than the rest of `timeout`.
    reconnect_timeout: float = 10.0
    # Maximum number of waiting tasks; 0 for no limit.
    max_waiting: int = 10_000
    # A connection that is idle for longer is closed.
    max_idle: float = 600.0
    # A connection older than this is closed when it is released. Each lives up to a
    # tenth less, so that those opened together do not close together.
    max_lifetime: float = 3600.0
    # A connection that was idle for longer is checked (`SELECT 1`) before it is used.
    check_idle: float = 30.0

    @classmethod
    def read(cls, configured: Any) -> tuple[Self, list[tuple[str, str]], list[str]]:
        """
        Read and check the options in *configured*.

        Args:
            configured: A dictionary of options. None, True and False stand for an empty
                one, because Django accepts them to turn its own pool on and off.

        Returns: the options, with defaults for those that are wrong; for each problem a
            message without its subject, and the remedy; and the keys that have no
            effect here, which are those of `IGNORED`.

        Never switches.
        """
        if configured is None or isinstance(configured, bool):
            configured = {}
        if not isinstance(configured, dict):
            remedy = "Write, for instance, {'max_size': 10}."
            return (
                cls(),
                [(f"is {configured!r}, but must be a dictionary.", remedy)],
                [],
            )
        if configured.get("max_size", 0) is None:
            # As in psycopg_pool: the size is fixed.
            fixed = configured.get("min_size") or None
            configured = {**configured, "max_size": fixed}
        known = cls._field_defaults
        values = {}
        problems = []
        ignored = []
        for name, value in configured.items():
            if name in IGNORED:
                ignored.append(name)
            elif name not in known:
                close = difflib.get_close_matches(str(name), [*known, *IGNORED], 1)
                remedy = f"Did you mean {close[0]!r}?" if close else "Remove it."
                remedy += f" The options are {', '.join(known)}."
                problems.append(
                    (f"has the key {name!r}, which is not an option.", remedy)
                )
            elif problem := _problem(name, value, whole=isinstance(known[name], int)):
                remedy = f"Write {problem}."
                problems.append((f"has {name!r} set to {value!r}.", remedy))
            else:
                values[name] = value
        options = cls(**values)
        if options.min_size > options.max_size:
            sizes = f"a min_size of {options.min_size} and a max_size of only"
            remedy = "Raise max_size, or lower min_size."
            problems.append((f"has {sizes} {options.max_size}.", remedy))
        return options, problems, ignored


def _problem(name: str, value: Any, *, whole: bool) -> str:
    """Describe the values that are allowed; empty if *value* is one of them."""
    least = 1 if name == "max_size" else 0
    kinds = int if whole else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if is_number and name == "max_lifetime" and value == 0:
        return "a number of seconds greater than 0"
    if is_number and value >= least:
        return ""
    kind = "an integer" if whole else "a number of seconds"
    return f"{kind} greater than or equal to {least}"
