"""
1,000 pages that wait for events, on two processes: told by PostgreSQL, or asking it.

    scripts/bench live

Two servers send server-sent events to 500 clients each, while another process commits a
row from time to time. The clients measure the time from the commit to the
event. For each way to learn of the row:

    listen    `async for note in listen(...)`, sent with notify()
    watch     `async for rows in watch(...)`: a query for each client and commit
    poll      a query for each client and second
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

CLIENTS, PROCESSES, COMMITS, PAUSE = 1_000, 2, 15, 1.3
POLL_INTERVAL = 1.0
WAYS = ("listen", "watch", "poll")


def configure(url: str) -> None:
    import django
    from django.db import connections

    from tests.settings import database

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["VINYL_BENCH_URL"] = url
    django.setup()
    settings = {"default": database(url)}
    # A system check of django.setup() may have made it.
    del connections["default"]
    connections.settings["default"] = connections.configure_settings(settings)[
        "default"
    ]


def serve(url: str, fd: int) -> None:
    """The server's process."""
    configure(url)

    import uvicorn
    from django.conf import settings

    from tests.records.models import Memo
    from vinyl.orm.live import listen, watch
    from vinyl.web import EventSourceResponse, get_asgi_application, path

    async def listening() -> AsyncIterator[str]:
        async for note in listen("memos"):
            yield note.payload

    async def watching() -> AsyncIterator[str]:
        async for [memo] in watch(Memo.objects.order_by("-pk")[:1], interval=0):
            yield memo.text

    async def polling() -> AsyncIterator[str]:
        known = None
        while True:
            [memo] = await Memo.objects.order_by("-pk")[:1]
            if memo.pk != known:
                known = memo.pk
                yield memo.text
            await asyncio.sleep(POLL_INTERVAL)

    ways = {"listen": listening, "watch": watching, "poll": polling}

    async def events(request: Any, way: str) -> EventSourceResponse:
        return EventSourceResponse(ways[way]())

    module = type(sys)("live_urls")
    module.urlpatterns = [path("<slug:way>/", events)]  # type: ignore[attr-defined]
    sys.modules["live_urls"] = module
    settings.ROOT_URLCONF = "live_urls"
    settings.ALLOWED_HOSTS = ["*"]
    uvicorn.run(
        get_asgi_application(), fd=fd, log_level="error", timeout_graceful_shutdown=1
    )


class Clients:
    """Waits for events on many sockets; remembers when each has arrived."""

    def __init__(self) -> None:
        self.arrived: dict[str, list[float]] = {}
        self.connected = 0

    async def run(self, port: int, way: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /{way}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        self.connected += 1
        try:
            while True:
                line = await reader.readline()
                if found := re.match(rb"data: (.*)\n", line):
                    mark = found[1].decode()
                    self.arrived.setdefault(mark, []).append(time.perf_counter())
        finally:
            writer.close()


def cpu_of(pids: list[int]) -> float:
    """The processor time of processes, in seconds."""
    ticks = 0
    for pid in pids:
        fields = fields_of(pid)
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children_of(parent: int) -> list[int]:
    pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
    return [pid for pid in pids if int(fields_of(pid)[1]) == parent]


def fields_of(pid: int) -> list[str]:
    """What Linux says about a process, from its state on; zeros if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


async def measure(way: str, ports: list[int], servers: list[int]) -> None:
    import psycopg

    url = os.environ["VINYL_BENCH_URL"]
    admin = psycopg.connect(url, autocommit=True)
    [[postmaster]] = admin.execute(
        "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int"
    ).fetchall()
    clients = Clients()
    tasks = []
    for number in range(CLIENTS):
        port = ports[number % len(ports)]
        tasks.append(asyncio.create_task(clients.run(port, way)))
        if number % 50 == 49:
            await asyncio.sleep(0.1)
    while clients.connected < CLIENTS:
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    database = children_of(postmaster)
    before = cpu_of(servers), cpu_of(database)
    committed = {}
    began = time.perf_counter()
    most = 0
    for number in range(COMMITS):
        mark = f"{way} {number}"
        with admin.transaction():
            admin.execute(
                "INSERT INTO records_memo (text, saves) VALUES (%s, 0)", [mark]
            )
            if way == "listen":
                admin.execute("SELECT pg_notify('memos', %s)", [mark])
        committed[mark] = time.perf_counter()
        await asyncio.sleep(PAUSE)
        [[count]] = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        ).fetchall()
        most = max(most, count)
    took = time.perf_counter() - began
    cpu = cpu_of(servers) - before[0], cpu_of(database) - before[1]
    await asyncio.sleep(3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    delays = sorted(
        max(0.0, at - committed[mark]) * 1000
        for mark, times in clients.arrived.items()
        if mark in committed
        for at in times
    )
    admin.close()
    p50, p99 = statistics.median(delays), delays[len(delays) * 99 // 100]
    told = (
        f"{way:8} {len(delays):6} events, connections {most:3}, latency {p50:6.1f} ms, "
        f"p99 {p99:6.1f} ms, CPU of the servers {cpu[0] / took:5.1%}, of PostgreSQL "
        f"{cpu[1] / took:5.1%}\n"
    )
    sys.stdout.write(told)
    sys.stdout.flush()
    await asyncio.sleep(2)


async def run_all(ports: list[int], servers: list[int]) -> None:
    for way in WAYS:
        await measure(way, ports, servers)


def main() -> None:
    from tests.postgres import postgres_server

    with postgres_server() as url:
        configure(url)

        from django.core.management import call_command
        from django.db import connections

        from tests.records.models import Memo

        call_command("migrate", verbosity=0)
        call_command("watchmodels", "records.Memo", verbosity=0)
        Memo.objects.bulk_create([Memo(text="first")])
        connections["default"].close()
        ports, processes = [], []
        for _ in range(PROCESSES):
            listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
            ports.append(listener.getsockname()[1])
            fd = listener.fileno()
            command = [sys.executable, "-m", __spec__.name, "serve", url, str(fd)]
            processes.append(subprocess.Popen(command, pass_fds=[fd]))
        try:
            asyncio.run(run_all(ports, [each.pid for each in processes]))
        finally:
            for each in processes:
                each.terminate()
            for each in processes:
                each.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
