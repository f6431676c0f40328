"""
What a query costs over the driver, with plans and without.

    scripts/bench plans

Each contestant is a process of its own; they take turns, a workload at a time. The
figures are medians of the CPU time of the process for one operation, in µs, and in
brackets what they are in relation to psycopg in the same mode. One task at a time.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tests.postgres import postgres_server

ROUNDS = 7
SECONDS = 0.4
CONTESTANTS = (
    "psycopg sync",
    "Django sync",
    "vinyl sync without plans",
    "vinyl sync",
    "psycopg async",
    "vinyl async without plans",
    "vinyl async",
)
WORKLOADS = (
    "get",
    "exists",
    "related",
    "list100",
    "values100",
    "select_related100",
    "prefetch100",
    "filter_chain",
)
ALBUM = "id, title, year, notes, released, artist_id, label_id"


def configure(contestant: str, url: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from tests import settings

    settings.DATABASES = {"default": settings.database(url)}
    if contestant == "Django sync":
        settings.DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
        settings.INSTALLED_APPS = [
            app for app in settings.INSTALLED_APPS if not app.startswith("vinyl")
        ]
    settings.VINYL = {"OPENTELEMETRY": False, "PLANS": "without" not in contestant}
    import django

    django.setup()


def fill() -> None:
    from django.core.management import call_command

    from tests.records.models import Album, Artist, Track

    call_command("migrate", verbosity=0)
    for number in range(100):
        artist = Artist.objects.create(name=f"Artist {number:03}")
        album = Album.objects.create(title=f"T{number:03}", artist=artist, year=number)
        Track.objects.bulk_create(
            Track(title=f"{position}", album=album, position=position)
            for position in range(5)
        )


def django_workloads() -> dict[str, Callable[[], Any]]:
    """What each workload awaits in async mode."""
    from tests.records.models import Album, Track

    objects = Album.objects
    return {
        "get": lambda: objects.get(pk=1),
        "exists": lambda: objects.filter(year=50).exists(),
        "related": lambda: objects.get(pk=1),
        "list100": lambda: objects.filter(year__gte=0),
        "values100": lambda: objects.values("id", "title", "year"),
        "select_related100": lambda: objects.select_related("artist"),
        "prefetch100": lambda: objects.prefetch_related("tracks"),
        "filter_chain": lambda: (
            Track.objects.filter(album__year__lt=5)
            .exclude(title="9")
            .filter(album__artist__name__startswith="Artist")
            .order_by("-position")[:20]
        ),
    }


def django_sync() -> dict[str, Callable[[], Any]]:
    found = django_workloads()
    for name in WORKLOADS:
        make = found[name]
        if name == "related":
            found[name] = partial(lambda make: make().artist, make)
        elif name not in ("get", "exists"):
            found[name] = partial(lambda make: list(make()), make)
    return found


def vinyl_async() -> dict[str, Callable[[], Awaitable[Any]]]:
    found = django_workloads()

    async def related() -> Any:
        return await (await found["get"]()).artist

    def awaited(make: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
        async def one() -> Any:
            return await make()

        return one

    return {name: awaited(found[name]) for name in WORKLOADS} | {"related": related}


def statements() -> dict[str, list[tuple[str, tuple[Any, ...]]]]:
    """The SQL that the driver runs for each workload, with its parameters."""
    columns = ", ".join(f"a.{name.strip()}" for name in ALBUM.split(","))
    get = f"SELECT {ALBUM} FROM records_album WHERE id = %s LIMIT 21", (1,)
    related = "SELECT id, name FROM records_artist WHERE id = %s LIMIT 21", (1,)
    exists = "SELECT 1 FROM records_album WHERE year = %s LIMIT 1", (50,)
    albums = f"SELECT {ALBUM} FROM records_album WHERE year >= %s ORDER BY title", (0,)
    values = "SELECT id, title, year FROM records_album ORDER BY title"
    joined = (
        f"SELECT {columns}, b.id, b.name FROM records_album a "
        f"JOIN records_artist b ON a.artist_id = b.id ORDER BY a.title"
    )
    tracks = (
        "SELECT id, title, album_id, position FROM records_track "
        "WHERE album_id = ANY(%s) ORDER BY position"
    )
    chain = (
        "SELECT t.id, t.title, t.album_id, t.position FROM records_track t "
        "JOIN records_album a ON t.album_id = a.id "
        "JOIN records_artist b ON a.artist_id = b.id WHERE a.year < %s "
        "AND NOT t.title = %s AND b.name LIKE %s "
        "ORDER BY t.position DESC LIMIT 20"
    )
    return {
        "get": [get],
        "exists": [exists],
        "related": [get, related],
        "list100": [albums],
        "values100": [(values, ())],
        "select_related100": [(joined, ())],
        "prefetch100": [albums, (tracks, (list(range(1, 101)),))],
        "filter_chain": [(chain, (5, "9", "Artist%"))],
    }


def psycopg_sync(url: str) -> dict[str, Callable[[], Any]]:
    import psycopg

    connection = psycopg.connect(url, autocommit=True)

    def run(queries: Any) -> None:
        for sql, params in queries:
            connection.execute(sql, params).fetchall()

    return {name: partial(run, q) for name, q in statements().items()}


async def psycopg_async(url: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    import psycopg

    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)

    async def run(queries: Any) -> None:
        for sql, params in queries:
            await (await connection.execute(sql, params)).fetchall()

    return {name: partial(run, q) for name, q in statements().items()}


async def serve_async(contestant: str, url: str) -> None:
    if contestant == "psycopg async":
        workloads = await psycopg_async(url)
    else:
        workloads = vinyl_async()
    for line in sys.stdin:
        fn = workloads[line.strip()]
        count, start, until = 0, time.process_time(), time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            await fn()
            count += 1
        tell((time.process_time() - start) / count)
    if contestant.startswith("vinyl"):
        from vinyl.orm.pools import close_pools

        await close_pools()


def serve_sync(contestant: str, url: str) -> None:
    workloads = psycopg_sync(url) if "psycopg" in contestant else django_sync()
    for line in sys.stdin:
        fn = workloads[line.strip()]
        count, start, until = 0, time.process_time(), time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            fn()
            count += 1
        tell((time.process_time() - start) / count)


def tell(seconds: float) -> None:
    sys.stdout.write(f"{seconds * 1e6}\n")
    sys.stdout.flush()


def serve(contestant: str, url: str) -> None:
    """Run the workload that each line of the input names, and print its time."""
    if not contestant.startswith("psycopg"):
        configure(contestant, url)
    if " async" in contestant:
        asyncio.run(serve_async(contestant, url))
    else:
        serve_sync(contestant, url)


def main() -> None:
    with postgres_server() as url:
        this = [sys.executable, "-m", "tests.benchmarks.plans"]
        subprocess.run([*this, "fill", url], check=True)
        processes = {
            name: subprocess.Popen(
                [*this, name, url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in CONTESTANTS
        }
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(ROUNDS):
            for workload in WORKLOADS:
                for name, process in processes.items():
                    assert process.stdin is not None
                    assert process.stdout is not None
                    process.stdin.write(f"{workload}\n")
                    process.stdin.flush()
                    measured = float(process.stdout.readline())
                    times.setdefault((workload, name), []).append(measured)
        for process in processes.values():
            process.communicate()
    sys.stdout.write(f"{'':20}" + "".join(f"{name:>28}" for name in CONTESTANTS) + "\n")
    for workload in WORKLOADS:
        row = f"{workload:20}"
        for name in CONTESTANTS:
            found = statistics.median(times[workload, name])
            driver = "psycopg async" if " async" in name else "psycopg sync"
            ratio = found / statistics.median(times[workload, driver])
            row += f"{found:>19.0f} ({ratio:>5.1f})"
        sys.stdout.write(row + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", url]:
            configure("Django sync", url)
            fill()
        case [contestant, url]:
            serve(contestant, url)
        case _:
            main()
