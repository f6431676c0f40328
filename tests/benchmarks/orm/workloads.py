"""The operations that are measured, with their arguments and what they return."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

__all__ = [
    "ALBUMS",
    "ARTISTS",
    "COUNTERS",
    "STREAM_CHUNK",
    "TRACKS_PER_ALBUM",
    "WORKLOADS",
    "Entry",
    "Workload",
    "columns",
    "entry",
]

ARTISTS = 100
ALBUMS = 4_000
TRACKS_PER_ALBUM = 5
COUNTERS = 1_000
# Rows that a stream fetches at a time.
STREAM_CHUNK = 2_000

ARTIST = ("id", "name")
ALBUM = ("id", "title", "year", "released", "rating", "artist_id")
TRACK = ("id", "title", "position", "album_id")


class Entry(NamedTuple):
    """A row to insert, without its key."""

    name: str
    number: int
    amount: float
    day: datetime.date


def entry(number: int) -> Entry:
    day = datetime.date(2020, 1, 1) + datetime.timedelta(days=number % 1000)
    return Entry(f"Entry {number}", number, number / 4, day)


ENTRIES = [entry(number) for number in range(1000)]


@dataclass(frozen=True)
class Workload:
    """
    A function of the contestants, called with other arguments each time.

    Args:
        function: The name of the contestant's function.
        arguments: The arguments of the call of this number.
        plain: The values in what the function returned, in Python's own types; also
            given the contestant. None if only the tables show what it did.
        at_once: How many calls of the function are one operation. On an event loop
            they run at the same time.
        use: What an operation does with what the function returned; also given the
            contestant. None for nothing.
    """

    function: str
    arguments: Callable[[int], tuple[Any, ...]]
    plain: Callable[[Any, Any], Any] | None
    at_once: int = 1
    use: Callable[[Any, Any], None] | None = None

    @property
    def writes(self) -> bool:
        return self.function in ("insert", "update", "txn", "bulk_insert")


def spread(number: int, limit: int) -> int:
    """A number from 1 to *limit*; those that follow each other are far apart."""
    return number * 7919 % limit + 1


def album_key(number: int) -> tuple[int]:
    return (spread(number, ALBUMS),)


def albums(count: int) -> Callable[[int], tuple[int, int]]:
    """The key before the first album, and the number of albums."""
    return lambda number: (spread(number, ALBUMS - count) - 1, count)


def columns(row: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """The values of *row*: a tuple or the like, a mapping or an object."""
    if isinstance(row, dict):
        return tuple(row[name] for name in names)
    if hasattr(row, names[0]):
        return tuple(getattr(row, name) for name in names)
    return tuple(row)


def plain_album(it: Any, album: Any) -> Any:
    return columns(album, ALBUM)


def plain_albums(it: Any, found: Any) -> Any:
    return [columns(album, ALBUM) for album in found]


def plain_related(it: Any, found: Any) -> Any:
    album, artist = found
    return columns(album, ALBUM), columns(artist, ARTIST)


def plain_joined(it: Any, found: Any) -> Any:
    return [
        columns(album, ALBUM) + columns(album.artist, ARTIST)
        if hasattr(album, "artist")
        else tuple(album)
        for album in found
    ]


def pairs(it: Any, found: Any) -> Iterator[tuple[Any, Any]]:
    """The albums that `prefetch()` of *it* returned, each with its tracks."""
    for pair in found:
        yield pair if type(pair) is tuple else (pair, it.tracks(pair))


def plain_prefetched(it: Any, found: Any) -> Any:
    return [
        (columns(album, ALBUM), sorted(columns(track, TRACK) for track in tracks))
        for album, tracks in pairs(it, found)
    ]


def read_titles(it: Any, found: Any) -> None:
    """Read the title of each track, as code that shows the albums does."""
    title: Any = None
    for _, tracks in pairs(it, found):
        for track in tracks:
            if title is None:
                # Drivers return rows.
                is_row = not hasattr(track, "title")
                title = itemgetter(1) if is_row else attrgetter("title")
            title(track)


def plain_values(it: Any, found: Any) -> Any:
    return [(row["id"], row["title"], row["year"]) for row in found]


def as_it_is(it: Any, found: Any) -> Any:
    return found


WORKLOADS = {
    "get": Workload("get", album_key, plain_album),
    "exists": Workload(
        "exists", lambda n: (spread(n, ARTISTS), 1900 + n % 240), as_it_is
    ),
    "related": Workload("related", album_key, plain_related),
    "list100": Workload("list_albums", albums(100), plain_albums),
    "list1000": Workload("list_albums", albums(1000), plain_albums),
    "select_related100": Workload("select_related", albums(100), plain_joined),
    "filter_chain": Workload(
        "filter_chain",
        lambda n: (f"Artist {spread(n, ARTISTS)}", f"Album {n}", 1920, 20),
        plain_albums,
    ),
    "prefetch100": Workload("prefetch", albums(100), plain_prefetched),
    "prefetch100_read": Workload(
        "prefetch", albums(100), plain_prefetched, use=read_titles
    ),
    "values100": Workload("values", albums(100), plain_values),
    "insert": Workload("insert", lambda n: (entry(n),), as_it_is),
    "update": Workload("update", lambda n: (spread(n, COUNTERS), n), None),
    "txn": Workload("txn", lambda n: (spread(n, COUNTERS), n, entry(n)), None),
    "bulk_insert1000": Workload("bulk_insert", lambda n: (ENTRIES,), None),
    "gather20": Workload("get", album_key, plain_album, at_once=20),
    "stream20k": Workload("stream", lambda n: (), as_it_is),
    "aggregate": Workload("aggregate", lambda n: (spread(n, ARTISTS),), as_it_is),
}
