"""The sources of notes, one for each event loop and database."""

from __future__ import annotations

import asyncio
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from vinyl.orm.live.source import Source

__all__ = ["source_for"]

S = TypeVar("S", bound=Source)

_sources: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Source]]
_sources = WeakKeyDictionary()


def source_for(cls: type[S], alias: str) -> S:
    """
    Return the source of the running event loop, created on first use.

    Args:
        cls: Its class.
        alias: The alias of the database.

    Never switches.
    """
    loop = asyncio.get_running_loop()
    sources = _sources.get(loop)
    if sources is None:
        _close_forsaken()
        sources = _sources[loop] = {}
    source = sources.get(alias)
    if source is None:
        source = sources[alias] = cls(alias)
    return cast(S, source)


def _close_forsaken() -> None:
    """
    Close the sources of loops that were closed before their tasks ended.

    The tasks refer to the loops, which would never be garbage.
    """
    # The list is made in one step, whatever the loops of other threads do.
    for reference in _sources.keyrefs():
        loop = reference()
        if loop is not None and loop.is_closed():
            for source in _sources.pop(loop, {}).values():
                source.close()
