"""
N+1s: the same lazy load from the same line, again and again.

One lazy load is not a problem. The same one for each row of a list takes a query per
row, where the list's own queryset could have fetched all of them.
"""

from __future__ import annotations

import logging

from vinyl.orm.observe.callsite import Callsite
from vinyl.orm.observe.lazy_loads import RecordedLoad
from vinyl.orm.observe.lookup_paths import LookupPath, cure_of
from vinyl.orm.observe.recorder import Recording
from vinyl.records import NamedTuple

__all__ = ["find_n_plus_ones", "log_n_plus_ones"]

logger = logging.getLogger("vinyl.queries")


class NPlusOne(NamedTuple):
    """
    A lazy load that one line repeated.

    Args:
        name: What was loaded, such as "Album.artist".
        callsite: The line.
        loads: How many times it was loaded.
        seconds: How long the queries took together.
        cure: What to do instead, a sentence.
        call: The call in it, such as 'select_related("artist")'.
    """

    name: str
    callsite: Callsite
    loads: int
    seconds: float
    cure: str
    call: str

    def __str__(self) -> str:
        return (
            f"N+1: {self.callsite} loaded {self.name} {self.loads} times, one by one, "
            f"in {self.seconds * 1000:.1f} ms. {self.cure}"
        )


def find_n_plus_ones(record: Recording) -> list[NPlusOne]:
    """
    Return the lazy loads that a line repeated, the most frequent first.

    Args:
        record: A full recording; others have no lazy loads.

    Never switches.
    """
    groups: dict[tuple[str, LookupPath, str, Callsite], list[RecordedLoad]] = {}
    for load in record.notes.get("loads", ()):
        key = (load.name, load.path, load.kind, load.callsite)
        groups.setdefault(key, []).append(load)
    found = []
    for (name, path, kind, callsite), loads in groups.items():
        if len(loads) > 1:
            call, cure = cure_of(path, kind)
            seconds = sum(load.seconds for load in loads)
            found.append(NPlusOne(name, callsite, len(loads), seconds, cure, call))
    return sorted(found, key=lambda one: -one.loads)


def log_n_plus_ones(record: Recording) -> None:
    """
    Log a warning for each line of *record* that repeated a lazy load. Never switches.
    """
    for one in find_n_plus_ones(record):
        facts = {"duration": one.seconds, "loads": one.loads, "cure": one.call}
        logger.warning("%s", one, extra=facts)
