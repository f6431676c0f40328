"""
What vinyl costs in sync mode, where Django's own methods run behind a decision.

    scripts/bench sync_mode

Each contestant runs in turn, many times over; the figures are medians. The database is
an SQLite file, so that what is compared is Python.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 41
CALLS = 2000


def seconds_per_call(fn: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        fn()
    return (time.perf_counter() - start) / calls


def medians(contestants: dict[str, Callable[[], Any]], calls: int) -> dict[str, float]:
    """Microseconds per call of each, measured in turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, fn in contestants.items():
            times[name].append(seconds_per_call(fn, calls) * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def report(title: str, found: dict[str, float]) -> None:
    sys.stdout.write(f"{title}\n")
    for name, microseconds in found.items():
        sys.stdout.write(f"    {name:<44}{microseconds:>9.3f} µs\n")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from tests.records.models import Album, Artist
    from vinyl.bridge.mode import dual, runs_sync

    call_command("migrate", verbosity=0)
    artist = Artist.objects.create(name="Nina Simone")
    album = Album.objects.create(title="Pastel Blues", artist=artist)
    album.artist  # noqa: B018

    def nothing(self: Any) -> None:
        pass

    wrapped = dual(nothing)
    found = medians(
        {
            "a plain function": lambda: nothing(album),
            "the same, dual-mode": lambda: wrapped(album),
            "the decision alone": runs_sync,
        },
        CALLS * 10,
    )
    cost = found["the same, dual-mode"] - found["a plain function"]
    report("A dual-mode call", found | {"cost of a call": cost})

    # What is behind a changed descriptor, handler and method: Django's own.
    get_artist = type(vars(Album)["artist"]).__get__
    get_item = type(connections).__getitem__
    descriptor = vars(Album)["artist"]
    found = medians(
        {
            "album.artist, cached: Django": lambda: get_artist.__wrapped__(
                descriptor, album, Album
            ),
            "album.artist, cached: vinyl": lambda: get_artist(descriptor, album, Album),
            "connections[alias]: Django": lambda: get_item.__wrapped__(
                connections, "default"
            ),
            "connections[alias]: vinyl": lambda: get_item(connections, "default"),
        },
        CALLS * 5,
    )
    report("Reading an attribute", found)

    queryset = Album.objects.filter(pk=album.pk)
    get = type(queryset).get
    found = medians(
        {
            "qs.get(): Django's function": lambda: get.__wrapped__(queryset),
            "qs.get(): vinyl": lambda: get(queryset),
        },
        CALLS // 20,
    )
    report("A query", found)


if __name__ == "__main__":
    main()
