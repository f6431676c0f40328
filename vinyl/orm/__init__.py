"""
Django's ORM, natively async.

bridge.py        START HERE: run, await_, in_bridge
drivers.py       use_driver: flows that run in both modes
refusals.py      which uses as a value an object can refuse, and refusing them
calls.py         what a dual-mode call returns: a coroutine that is no value
mode.py          dual-mode functions: a value in sync mode, a call in async mode
callers.py       refusing a call that nobody will await
callsites.py     what the calling code does with a call's result
dualmode.py      the table of Django's entry points
rows.py          applying a row of it
auth.py          the rows of django.contrib.auth
contrib.py       the rows of Django's other managers, and of files
forms.py         Django's forms
lazy.py          NotFetched and the attributes that give it
generic.py       generic relations, which need content types
querysets.py     awaiting querysets
streams.py       reading a queryset row by row
singleflight.py  one piece of work for several tasks that want its result
validators.py    async validators of fields
connections.py   scopes: which connection the running code uses
lending.py       connections that a loop lends to a thread, and a thread to a loop
leases.py        a connection as one scope holds it, and who uses it inside
waiting.py       the queue of tasks that wait for a connection, or for a turn
turns.py         whose turn it is to use a connection that tasks share
standins.py      what `connection` is on the event loop where nothing is held
cursors.py       raw cursors, COPY, pinned connections, savepoints
notifications.py receiving PostgreSQL's notifications
closing.py       closing connections with Django's functions, on the event loop
pool.py          opening, lending, checking, closing
pools.py         which pools each event loop has, to its end
pool_options.py  the options of a pool, read and checked
upkeep.py        what a pool does by itself: expiring, refilling
forking.py       leaving the parent's connections alone in a forked process
caches.py        one cache object for the tasks of an event loop
threads.py       in_thread; caches, files and e-mail, whose calls would block the loop
tasks.py         where a task is, and work that outlasts its task
conflicts.py     trying again after another transaction got in the way
transaction.py   atomic, on_commit, retry_on_conflict
routers.py       reads from replicas, and when they must be from the primary
backends/        the ENGINEs, and the mixins that make a Django backend dual-mode
observing.py     the log of slow queries, OpenTelemetry spans, and who else listens
recording.py     the queries of a block, counted and timed, or each with its line
places.py        which line of the user's code or template is running
loads.py         relations that code loads where it touches them, and N+1s
peers.py         templates that fetch for a whole list at once
querytext.py     what is shown of a query's text and parameters
compat.py        every private Django name in use, by version
models.py        what model modules import
testing.py       the pytest plugin
things.py        what values in source code are, and what their attributes give
inference.py     which of them an expression gives
uses.py          which expressions are used as values, and how
awaits.py        which of them source code forgets to await
checks.py        the system checks that tell of it, and of settings
apps.py          the app config, which applies the table

Imports flow down from apps to bridge. Nothing here imports vinyl.web or Starlette.
"""

from django.db import connection
from django.db.models.query import prefetch_related_objects as _prefetch

from vinyl.exceptions import NotAwaitedError, NotFetchedError, PoolTimeout
from vinyl.orm import models, transaction
from vinyl.orm.bridge import await_, in_bridge, run
from vinyl.orm.drivers import use_driver
from vinyl.orm.lazy import NotFetched, fetch
from vinyl.orm.querysets import related_once as _related_once

# The handler takes the name that the submodule has had so far in this package:
# `from vinyl.orm import connections` gives Django's, as the docs say.
from django.db import connections  # isort: skip

prefetch_related_objects = use_driver(_related_once(_prefetch))

__all__ = [
    "NotAwaitedError",
    "NotFetched",
    "NotFetchedError",
    "PoolTimeout",
    "await_",
    "connection",
    "connections",
    "fetch",
    "in_bridge",
    "models",
    "prefetch_related_objects",
    "run",
    "transaction",
    "use_driver",
]
