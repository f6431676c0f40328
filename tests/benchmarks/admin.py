"""
The admin's pages of a million rows in PostgreSQL beside a thousand; and their CPU time
beside that of Django's own admin under Django's ASGI handler.

    scripts/bench admin [ROWS]

For each page: the number of queries, the bytes, and the ratio of the times with ROWS to
those with 1,000 rows. The times are medians. For an export of all rows: how much memory
the process takes more than before, sampled with each piece that is sent.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

FEW, MANY, ROUNDS, CALLS = 1_000, 1_000_000, 5, 20

LIST = "/admin/records/album/"
PAGES = {
    "list": LIST,
    "next page by key": f"{LIST}?p=9&_after={{middle}}",
    "sorted by another column": f"{LIST}?o=-3",
    "search, indexed": f"{LIST}?q=Album+500",
    "filter by value": f"{LIST}?year=1990",
    "filter by relation": f"{LIST}?label__id__exact=1",
    "filter by date": f"{LIST}?released__year=1990",
    "counts of choices": f"{LIST}?_facets=True",
    "find a choice": f"{LIST}?_find-artist=Artist+77",
    "change form": f"{LIST}{{middle}}/change/",
    "preview of a deletion": "/admin/records/artist/1/delete/",
}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def configure(url: str, admin: str) -> None:
    import django
    from django.conf import settings

    import tests.settings as ours

    apps = [app for app in ours.INSTALLED_APPS if "vinyl" not in app]
    options: dict[str, Any] = {
        name: getattr(ours, name) for name in dir(ours) if name.isupper()
    }
    if admin == "django":
        names = ("sessions", "auth", "messages")
        classes = ("Session", "Authentication", "Message")
        options |= {
            "INSTALLED_APPS": [*apps, "django.contrib.admin"],
            "MIDDLEWARE": [
                f"django.contrib.{name}.middleware.{cls}Middleware"
                for name, cls in zip(names, classes, strict=True)
            ],
            "TEMPLATES": [
                {
                    "BACKEND": "django.template.backends.django.DjangoTemplates",
                    "APP_DIRS": True,
                    "OPTIONS": {
                        "context_processors": [
                            "django.template.context_processors.request",
                            "django.contrib.auth.context_processors.auth",
                            "django.contrib.messages.context_processors.messages",
                        ]
                    },
                }
            ],
        }
    else:
        options["MIDDLEWARE"] = [
            "vinyl.web.sessions.SessionMiddleware",
            "vinyl.web.auth.AuthenticationMiddleware",
            "vinyl.web.messages.MessagesMiddleware",
        ]
    database = dict(ours.database(url))
    if admin == "django":
        database["ENGINE"] = "django.db.backends.postgresql"
        database["OPTIONS"] = {}
        database["CONN_MAX_AGE"] = None
    options |= {
        "DATABASES": {"default": database},
        "ALLOWED_HOSTS": ["*"],
        "ROOT_URLCONF": "benchmarked_urls",
    }
    settings.configure(**options)
    django.setup()


def application(admin: str) -> Any:
    """The ASGI application with the admin of *admin*, "vinyl" or "django"."""
    from django.contrib.admin import ModelAdmin, site
    from django.urls import path

    from tests.records.models import Album, Artist, Label

    class AlbumAdmin(ModelAdmin):  # type: ignore[type-arg]
        list_display = ("title", "artist", "year", "label")
        list_filter: Any = ("year", "label", "released")
        search_fields = ("title__exact",)
        ordering = ("id",)
        date_hierarchy = "released"
        raw_id_fields = ("artist",)

    if admin == "vinyl":
        # Django's would load the whole table of artists.
        AlbumAdmin.list_filter = ("year", "label", "released", "artist")
    released: Any = Album._meta.get_field("released")
    released.db_index = True
    site.register(Album, AlbumAdmin)
    site.register(Artist, ModelAdmin, search_fields=("name__startswith",))
    site.register(Label)
    module: Any = type(sys)("benchmarked_urls")
    module.urlpatterns = [path("admin/", site.urls)]
    sys.modules["benchmarked_urls"] = module
    if admin == "django":
        from django.core.asgi import get_asgi_application

        return get_asgi_application()
    from vinyl.web import get_asgi_application as of_vinyl

    return of_vinyl()


def fill(rows: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE records_artist, records_label CASCADE")
        cursor.execute(
            "INSERT INTO records_artist (id, name) SELECT i, 'Artist ' || i "
            "FROM generate_series(1, %s) i",
            [max(rows // 3, 10)],
        )
        cursor.execute(
            "INSERT INTO records_label (id, name) SELECT i, 'Label ' || i "
            "FROM generate_series(1, 20) i"
        )
        # The first artist has 25,000 albums of a million.
        cursor.execute(
            "INSERT INTO records_album"
            " (id, title, year, notes, released, artist_id, label_id) "
            "SELECT i, 'Album ' || i, 1950 + i %% 70, '', "
            "  date '1950-01-01' + (i %% 25000), "
            "  CASE WHEN i %% 40 = 0 THEN 1 ELSE 1 + i %% %s END, 1 + i %% 20 "
            "FROM generate_series(1, %s) i",
            [max(rows // 3, 10), rows],
        )
        for column in ("title", "year", "released"):
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS bench_{column} ON records_album ({column})"
            )
        # As autovacuum does it after a while: then an index is enough for a count.
        cursor.execute("VACUUM ANALYZE")


def session() -> str:
    """The key of a session of a superuser."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore

    user = User.objects.filter(username="ada").first()
    user = user or User.objects.create_superuser("ada", password="secret")
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    assert store.session_key
    return store.session_key


def client(app: Any, key: str) -> Any:
    import httpx

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://testserver",
        cookies={"sessionid": key},
    )


async def measured(app: Any, key: str, rows: int) -> dict[str, tuple[Any, ...]]:
    """For each page its queries, bytes, seconds and seconds of CPU."""
    from vinyl.orm.recording import recording

    found: dict[str, tuple[Any, ...]] = {}
    async with client(app, key) as http:
        for name, page in PAGES.items():
            url = page.format(middle=rows // 2)
            with recording() as record:
                response = await http.get(url)
            assert response.status_code == 200, (name, response.status_code)
            times = []
            for _ in range(ROUNDS):
                wall, cpu = time.perf_counter(), time.process_time()
                await http.get(url)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                times.append((wall, cpu))
            walls, cpus = zip(*times, strict=True)
            found[name] = (
                record.count,
                len(response.content),
                statistics.median(walls),
                statistics.median(cpus),
            )
    return found


def resident() -> int:
    """The memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def exported(app: Any, key: str, kind: str) -> tuple[int, int, float, float]:
    """The bytes of an export, the memory it takes, its seconds and those of CPU."""
    size = 0
    start = most = resident()

    async def send(message: Any) -> None:
        # Not by a client, which would keep the pieces.
        nonlocal size, most
        size += len(message.get("body", b""))
        assert message.get("status", 200) == 200
        most = max(most, resident())

    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        for message in requests:
            return message
        # The client stays until the end.
        await asyncio.Event().wait()

    headers = [(b"host", b"testserver"), (b"cookie", f"sessionid={key}".encode())]
    path = f"{LIST}export/{kind}/"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    wall, cpu = time.perf_counter(), time.process_time()
    await app(scope, receive, send)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return size, most - start, wall, cpu


def exports(app: Any, key: str, rows: int) -> None:
    head = ("export", "bytes", "memory MiB", "seconds", "of CPU")
    say("\n{:26}{:>13}{:>13}{:>10}{:>9}".format(*head))
    for kind in ("csv", "json"):
        size, memory, wall, cpu = asyncio.run(exported(app, key, kind))
        name = f"{rows:,} rows as {kind}"
        say(f"{name:26}{size:13,}{memory / 2**20:13.1f}{wall:10.1f}{cpu:9.1f}")


def sizes(url: str, many: int) -> None:
    """The pages of *many* rows beside those of a few."""
    configure(url, "vinyl")
    from django.core.management import call_command

    app = application("vinyl")
    call_command("migrate", verbosity=0)
    key = session()
    found = []
    for rows in (FEW, many):
        fill(rows)
        found.append(asyncio.run(measured(app, key, rows)))
        exports(app, key, rows)
    head = ("page", "queries", "bytes", f"ms at {many:,}", "time", "CPU")
    say("{:26}{:>9}{:>10}{:>15}{:>8}{:>7}".format(*head))
    for name, (queries, size, wall, cpu) in found[1].items():
        _, _, before, cpu_before = found[0][name]
        say(
            f"{name:26}{queries:9}{size:10,}{wall * 1000:15.1f}"
            f"{wall / before:8.2f}{cpu / cpu_before:7.2f}"
        )


def worker(admin: str, url: str) -> None:
    """Answer each line of the input, a URL, with the CPU time of a request, in ms."""
    configure(url, admin)
    app = application(admin)
    key = session()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with client(app, key) as http:
            while page := (
                await loop.run_in_executor(None, sys.stdin.readline)
            ).strip():
                start = time.process_time()
                for _ in range(CALLS):
                    response = await http.get(page)
                used = (time.process_time() - start) / CALLS * 1000
                assert response.status_code == 200, response.status_code
                say(f"{used}")

    asyncio.run(run())


def contest(url: str) -> None:
    """Both admins in processes of their own, in turn."""
    runners = {
        admin: subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.admin", "worker", admin, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for admin in ("vinyl", "django")
    }

    def ask(runner: Any, page: str) -> float:
        runner.stdin.write(f"{page}\n")
        runner.stdin.flush()
        return float(runner.stdout.readline())

    say(f"\n{'CPU of a request':26}{'vinyl ms':>10}{'django ms':>11}{'ratio':>8}")
    for name, page in (("list", LIST), ("change form", f"{LIST}500/change/")):
        results: dict[str, list[float]] = {"vinyl": [], "django": []}
        for number in range(ROUNDS + 1):
            for admin, runner in runners.items():
                used = ask(runner, page)
                if number:
                    results[admin].append(used)
        ours, theirs = (statistics.median(results[a]) for a in ("vinyl", "django"))
        say(f"{name:26}{ours:10.2f}{theirs:11.2f}{ours / theirs:8.2f}")
    for runner in runners.values():
        assert runner.stdin
        runner.stdin.close()
        runner.wait()


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        return worker(*sys.argv[2:4])
    from tests.postgres import empty_database, postgres_server

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with postgres_server() as server, empty_database(server) as url:
        sizes(url, rows)
        contest(url)


if __name__ == "__main__":
    main()
