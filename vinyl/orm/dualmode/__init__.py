"""
Django's entry points in both modes, sync and async.

table.py          START HERE: every entry point, with its patch
versions.py       the versions of Django, and the private names in use
querysets.py      awaiting querysets
instances.py      save() and delete() of instances
streams.py        reading a queryset row by row
lazy.py           NotFetched, the attributes that return it, and fetch()
relations.py      relations to one object, awaited on the event loop
batches.py        tasks that await in the same turn of the loop share one query
assignments.py    what other tasks assign while a lazy attribute is fetched
singleflight.py   one task does the work, others that want it wait
connections.py    `connection` and `connections`, with the types of both modes
cursors.py        raw cursors, pinned connections, savepoints
copy.py           psycopg's COPY
notifications.py  receiving PostgreSQL's notifications
atomic.py         async with atomic(), and sync blocks in the bridge
atomic_on_loop.py  atomic() on the event loop, without the bridge
commit_hooks.py   hooks of on_commit(), sync and async ones
closing.py        closing connections with Django's functions, on the event loop
awaited_value.py  explains the TypeError of awaiting a value already fetched
"""

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.orm.dualmode import (
        assignments,
        atomic_on_loop,
        batches,
        copy,
        notifications,
        singleflight,
        streams,
        table,
    )
else:
    # Modules that many processes do not need: imported with their first use.
    __getattr__ = importer_of(__name__)

__all__ = [
    "assignments",
    "atomic_on_loop",
    "batches",
    "copy",
    "notifications",
    "singleflight",
    "streams",
    "table",
]
