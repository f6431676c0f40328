"""
What making a dual-mode call on the event loop costs, with and without the look at the
caller's code that refuses a call which would never be awaited.

    scripts/bench async_calls

Both run in turns, many times over; the figures are the best ones, which a busy machine
disturbs least. No query runs: each call is closed again.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value"

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmarks.sync_mode import CALLS, ROUNDS, report, seconds_per_call


def best(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Microseconds of each call, without and with the look at the caller."""
    from vinyl.bridge import mode

    looks = {"without": lambda *args: None, "with": mode.refuse_lost}
    found: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            for how, look in looks.items():
                mode.refuse_lost = look
                seconds = seconds_per_call(call, CALLS // 4)
                key = f"{name}, {how}"
                found[key] = min(found.get(key, seconds), seconds)
    mode.refuse_lost = looks["with"]
    for name in calls:
        found[f"{name}: cost"] = found[f"{name}, with"] - found[f"{name}, without"]
    return {name: seconds * 1e6 for name, seconds in found.items()}


async def measure() -> None:
    from tests.records.models import Album
    from vinyl.orm import use_driver

    album = Album(pk=1)
    queryset = Album.objects.filter(pk=1)

    @use_driver
    def nothing() -> None:
        pass

    found = best(
        {
            "a function": lambda: nothing().close(),
            "album.save()": lambda: album.save().close(),
            "queryset.count()": lambda: queryset.count().close(),
            "Album.objects.count()": lambda: Album.objects.count().close(),
        }
    )
    report("A call on the event loop", found)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    asyncio.run(measure())


if __name__ == "__main__":
    sys.exit(main())
