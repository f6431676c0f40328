"""
Django's ORM, natively async.

transaction.py  atomic, on_commit, retry_on_conflict
models.py       what model modules import
recording.py    recording the queries of a block
retry.py        retrying transactions after conflicts
asgi.py         Django's ASGI application, with its sync code in the bridge
routers.py      database routing: reads from replicas, writes to the primary
testing.py      the pytest plugin
standalone.py   configure() in place of a settings module, lifespan()
checks.py       the system checks
apps.py         the app config, which applies the dual-mode table

observe/        observing queries: slow query log, spans, recordings, N+1 reports
backends/       the ENGINEs, and the mixins that make a Django backend dual-mode
pools/          pools of connections, one for each event loop and database
scopes/         which connection the running code uses
plans/          query plans: reusing SQL and row loading for queries of the same shape
contrib/        Django's contrib apps, forms, caches, files and mail
dualmode/       Django's entry points in both modes
types/          what type checkers know of models.py
live/           listen(), notify() and watch()
management/     the management commands
lint/           `vinyl check` for forgotten awaits

The bridge itself is vinyl.bridge. Imports flow one way: see tests/test_package.py.
"""

from vinyl.bridge.calls import Dual
from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import await_, in_bridge, run
from vinyl.exceptions import NotAwaitedError, NotFetchedError, PoolTimeout
from vinyl.orm import models, transaction
from vinyl.orm.dualmode.connections import connection, connections
from vinyl.orm.dualmode.lazy import NotFetched, fetch
from vinyl.orm.dualmode.querysets import prefetch_related_objects
from vinyl.orm.standalone import configure, lifespan

__all__ = [
    "Dual",
    "NotAwaitedError",
    "NotFetched",
    "NotFetchedError",
    "PoolTimeout",
    "await_",
    "configure",
    "connection",
    "connections",
    "fetch",
    "in_bridge",
    "lifespan",
    "models",
    "prefetch_related_objects",
    "run",
    "transaction",
    "use_driver",
]
