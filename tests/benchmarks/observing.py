"""
What it costs to log slow queries, to record, and to make spans, per query.

    python -m tests.benchmarks.observing

The states take turns, many times over; the figures are medians. The database is an
SQLite file, so that what is compared is Python. Nothing is slow enough to be logged.
"""

from __future__ import annotations

import contextlib
import functools
import os
import statistics
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmarks.sync_mode import CALLS, ROUNDS, report, seconds_per_call


def medians(
    states: dict[str, Any], fn: Callable[[], Any], calls: int
) -> dict[str, float]:
    """Microseconds per call of *fn* in each state, measured in turns."""
    from vinyl.orm.observe.events import set_observers

    times: dict[str, list[float]] = {name: [] for name in states}
    for _ in range(ROUNDS):
        for name, state in states.items():
            set_observers(*state if isinstance(state, tuple) else ())
            with contextlib.nullcontext() if isinstance(state, tuple) else state():
                times[name].append(seconds_per_call(fn, calls) * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    from tests.records.models import Artist
    from vinyl.orm.observe.slow_log import SlowLog
    from vinyl.orm.observe.tracing import Tracing
    from vinyl.orm.recording import recording

    call_command("migrate", verbosity=0)
    artist = Artist.objects.create(name="Nina Simone")
    queryset = Artist.objects.filter(pk=artist.pk)
    sql, params = queryset.query.sql_with_params()

    off: tuple[()] = ()
    log = SlowLog(60.0)
    states = {"off": off, "log": (log,), "spans, no provider set": (Tracing(),)}

    def measure(title: str, states: dict[str, Any]) -> None:
        with connection.cursor() as cursor:
            found = medians(
                states,
                lambda: cursor._execute_with_wrappers(
                    sql, params, many=False, executor=lambda *args: None
                ),
                CALLS,
            )
        report(f"{title}: the method alone", found)
        report(f"{title}: qs.get()", medians(states, queryset.get, CALLS // 20))

    measure("Before a provider is set", states)
    full = functools.partial(recording, full=True)
    measure("Recording", {"off": off, "recording": recording, "full recording": full})
    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    measure(
        "With a provider",
        {
            "off": off,
            "spans": (Tracing(),),
            "spans, none sampled": (Tracing(unsampled.get_tracer("vinyl")),),
            "spans and log": (log, Tracing()),
        },
    )
    sys.stdout.write("A span is made and ended here, and exported nowhere.\n")


if __name__ == "__main__":
    main()
