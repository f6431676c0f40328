"""
The start of a project with Django's auth, in a process that does nothing else.

    python -m tests.benchmarks.memory.start django postgresql://...

Prints the CPU time of the process in seconds, with that of the interpreter and of all
imports; with `-X tracemalloc`, the bytes that Python has allocated instead.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc

CONNECTIONS = 20


def start(contestant: str, url: str) -> None:
    """Set Django up, with the database at *url*."""
    import psycopg
    from django.conf import settings

    engine, apps = "django.db.backends.postgresql", []
    if contestant == "vinyl":
        engine, apps = "vinyl.orm.backends.postgresql", ["vinyl.orm"]
    info = psycopg.conninfo.conninfo_to_dict(url)
    settings.configure(
        INSTALLED_APPS=[*apps, "django.contrib.contenttypes", "django.contrib.auth"],
        DATABASES={
            "default": {
                "ENGINE": engine,
                "NAME": info["dbname"],
                "USER": info.get("user", ""),
                "HOST": info.get("host", ""),
                "PORT": info.get("port", ""),
                "OPTIONS": {"pool": {"max_size": CONNECTIONS}} if apps else {},
            }
        },
    )
    import django

    django.setup()
    from django.db import connections

    # Loads the backend.
    _ = connections["default"].ops


def allocated() -> int:
    """The bytes that Python has allocated."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


if __name__ == "__main__":
    start(*sys.argv[1:])
    found = allocated() if tracemalloc.is_tracing() else time.process_time()
    sys.stdout.write(str(found))
