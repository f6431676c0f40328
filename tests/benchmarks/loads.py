"""
What query awareness costs: reads of relations, and a rendered page of 100 rows.

    python -m tests.benchmarks.loads

The states take turns, many times over; the figures are medians, on an SQLite file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
from collections.abc import Callable
from typing import Any

from tests.benchmarks.sync_mode import CALLS, ROUNDS, report, seconds_per_call


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import override_settings

    from tests.records.models import Album, Artist
    from tests.web.serving import templates
    from vinyl.orm import run
    from vinyl.orm.recording import recording
    from vinyl.web import render

    logging.disable()
    call_command("migrate", verbosity=0)
    for number in range(100):
        artist = Artist.objects.create(name=f"Artist {number}")
        Album.objects.create(title=f"Album {number}", artist=artist)

    def state(policy: str, *, full: bool = False, mode: str = "one") -> Any:
        vinyl = {
            "OPENTELEMETRY": False,
            "LAZY_IN_TEMPLATES": policy,
            "TEMPLATE_FETCH_MODE": mode,
        }
        page = "{% for a in albums %}{{ a.title }} by {{ a.artist.name }}\n{% endfor %}"
        files = templates(files={"page.html": page})

        def measured(fn: Callable[[], Any], calls: int) -> float:
            with override_settings(VINYL=vinyl, **files):
                if not full:
                    return seconds_per_call(fn, calls) * 1e6
                with recording(full=True):
                    return seconds_per_call(fn, calls) * 1e6

        return measured

    states = {
        "allow": state("allow"),
        "warn": state("warn"),
        "full recording": state("allow", full=True),
    }

    def measure(title: str, fn: Callable[[], Any], calls: int) -> None:
        times: dict[str, list[float]] = {name: [] for name in states}
        for _ in range(ROUNDS):
            for name, measured in states.items():
                times[name].append(measured(fn, calls))
        report(title, {name: statistics.median(many) for name, many in times.items()})

    album = Album.objects.select_related("artist")[0]
    measure("album.artist, loaded, in sync mode", lambda: album.artist, CALLS)

    def page(queryset: Any) -> Callable[[], Any]:
        def visit() -> None:
            render(None, "page.html", {"albums": queryset()})

        return lambda: asyncio.run(run(visit))

    joined = page(lambda: Album.objects.select_related("artist"))
    measure("A page of 100 rows, loaded", joined, 3)
    measure("A page of 100 rows, loaded one by one", page(Album.objects.all), 1)
    if django.VERSION >= (6, 1):
        states = {"one": state("allow"), "peers": state("allow", mode="peers")}
        measure("The same, by fetch mode", page(Album.objects.all), 1)
        measure("100 rows, by fetch mode", lambda: list(Album.objects.all()), 10)


if __name__ == "__main__":
    main()
