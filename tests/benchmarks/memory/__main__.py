"""
What vinyl adds to the start-up and the memory of a process that uses Django's ORM.

    scripts/bench memory

- Start: the CPU time and the memory of a new process once it has done
  `django.setup()` and loaded the models and the backend of a project with Django's
  auth; with `vinyl.orm` in INSTALLED_APPS and vinyl's ENGINE, or without either. The
  contestants take turns; the CPU times are medians.
- Bytes that Python has allocated (tracemalloc): after the start; for an idle
  connection, which is pooled in vinyl; for an instance that a query has returned; and
  for the plan of a query, beside Django's own Query for the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

from tests.benchmarks.memory.start import CONNECTIONS, allocated, start

ROOT = Path(__file__).parents[3]
CONTESTANTS = ("django", "vinyl")
INSTANCES = 5000
PLANS = 1000
# What each figure of vinyl's is compared with.
BESIDE = {
    "after the start": "after the start",
    "an idle connection": "an idle connection",
    "an idle connection of a thread": "an idle connection",
    "an instance": "an instance",
    "an instance in sync mode": "an instance",
}


def permissions() -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.all()


def make_rows() -> None:
    """Make the tables and the rows."""
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.models import ContentType
    from django.db import connection

    with connection.schema_editor() as editor:
        editor.create_model(ContentType)
        editor.create_model(Permission)
    kind = ContentType.objects.create(app_label="a", model="b")
    Permission.objects.bulk_create(
        Permission(name=f"{n}", codename=f"{n}", content_type=kind)
        for n in range(INSTANCES)
    )


def of_connections() -> float:
    """Bytes for an idle connection, after some queries."""
    from django.db import connections

    made = []
    before = 0
    for number in range(CONNECTIONS + 1):
        wrapper = connections.create_connection("default")
        with wrapper.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
        made.append(wrapper)
        if number == 0:
            # What the first one loads belongs to none.
            before = allocated()
    size = (allocated() - before) / CONNECTIONS
    for wrapper in made:
        wrapper.close()
    return size


async def of_pooled_connections() -> float:
    """The same in vinyl's pool."""
    from vinyl.orm import connection
    from vinyl.orm.pools import close_pools

    async def ask(ready: asyncio.Barrier) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
            await cursor.fetchall()
            await ready.wait()

    async def ask_on(number: int) -> None:
        ready = asyncio.Barrier(number)
        await asyncio.gather(*(ask(ready) for _ in range(number)))

    # What many tasks at a time leave behind, such as idle greenlets, is there before.
    await ask_on(CONNECTIONS)
    await close_pools()
    # The event loop keeps the contexts of timers until they are due.
    await asyncio.sleep(1)
    before = allocated()
    await ask_on(CONNECTIONS)
    await asyncio.sleep(1)
    return (allocated() - before) / CONNECTIONS


def of_instances(fetch: Callable[[], list[Any]]) -> float:
    """Bytes for an instance."""
    # For the third time, by a plan.
    for _ in range(3):
        fetch()
    before = allocated()
    found = fetch()
    return (allocated() - before) / len(found)


async def of_awaited_instances() -> float:
    for _ in range(3):
        await permissions()
    before = allocated()
    found = await permissions()
    return (allocated() - before) / len(found)


def shapes() -> Iterator[Callable[[], Any]]:
    """Querysets of shapes that differ, most of them with three conditions."""
    texts = ("exact", "iexact", "contains", "icontains", "startswith", "endswith")
    numbers = ("exact", "gt", "gte", "lt", "lte")
    orders = ("pk", "-pk", "name", "-name", "codename", "-codename")

    def queryset(by: tuple[str, str, str, str]) -> Any:
        name, codename, pk, order = by
        conditions = {f"name__{name}": "1", f"codename__{codename}": "2"}
        return permissions().filter(**conditions, **{f"pk__{pk}": 3}).order_by(order)

    for by in product(texts, texts, numbers, orders):
        yield partial(queryset, by)


def of_plans() -> tuple[float, float]:
    """Bytes for a plan with all that leads to it, and for a Query of Django's."""
    made = list(islice(shapes(), PLANS + 1))
    for _ in range(2):
        list(made[0]())
    before = allocated()
    for make in made[1:]:
        # The plan is made when a shape comes for the second time.
        for _ in range(2):
            list(make())
    plans = (allocated() - before) / PLANS
    before = allocated()
    queries = [make().query.clone() for make in made[1:]]
    return plans, (allocated() - before) / len(queries)


def work(contestant: str, url: str) -> dict[str, float]:
    """What the process of *contestant* finds."""
    tracemalloc.start()
    start(contestant, url)
    found: dict[str, float] = {}
    if contestant == "django":
        found["an idle connection"] = of_connections()
        found["an instance"] = of_instances(lambda: list(permissions()))
        return found
    found["an idle connection"] = asyncio.run(of_pooled_connections())
    found["an idle connection of a thread"] = of_connections()
    found["an instance"] = asyncio.run(of_awaited_instances())
    found["an instance in sync mode"] = of_instances(lambda: list(permissions()))
    found["a plan"], found["Django's Query for it"] = of_plans()
    return found


def run_worker(what: str, contestant: str, url: str) -> Any:
    """What a process has printed, in JSON."""
    return run("memory", "--worker", what, "--contestant", contestant, "--url", url)


def run(module: str, *args: str, python: Sequence[str] = ()) -> Any:
    command = [sys.executable, *python, "-m", f"tests.benchmarks.{module}", *args]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    # A package that is installed has its bytecode; a clone gets it with its first use.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench memory", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="starts of each")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    return parser.parse_args()


def line(name: str, django: float, vinyl: float, unit: str) -> None:
    figures = f"{django:>12,.0f}{vinyl:>12,.0f} {unit:<6}{vinyl / django:>6.2f}"
    sys.stdout.write(f"{name:<34}{figures}\n")


def main() -> None:
    from tests.postgres import empty_database, own_server

    chosen = options()
    with own_server() as server, empty_database(server.get_uri()) as url:
        run_worker("rows", "django", url)
        times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
        for _ in range(chosen.rounds):
            for name in CONTESTANTS:
                times[name].append(run("memory.start", name, url))
        found = {name: run_worker("memory", name, url) for name in CONTESTANTS}
        for name in CONTESTANTS:
            size = run("memory.start", name, url, python=["-X", "tracemalloc"])
            found[name]["after the start"] = size
    start_ms = {name: statistics.median(times[name]) * 1000 for name in CONTESTANTS}
    django, vinyl = found["django"], found["vinyl"]
    sys.stdout.write(f"{'':<34}{'Django':>12}{'vinyl':>12}       ratio\n")
    line("start, CPU time", start_ms["django"], start_ms["vinyl"], "ms")
    for name, beside in BESIDE.items():
        line(name, django[beside], vinyl[name], "bytes")
    line(
        "a plan, beside Django's Query",
        vinyl["Django's Query for it"],
        vinyl["a plan"],
        "bytes",
    )
    total = vinyl["a plan"] * PLANS / 2**20
    sys.stdout.write(f"A thousand plans: {total:.1f} MiB\n")


def be_worker(chosen: argparse.Namespace) -> None:
    if chosen.worker == "rows":
        start(chosen.contestant, chosen.url)
        make_rows()
        sys.stdout.write("null")
    else:
        sys.stdout.write(json.dumps(work(chosen.contestant, chosen.url)))


if __name__ == "__main__":
    if options().worker:
        be_worker(options())
    else:
        main()
