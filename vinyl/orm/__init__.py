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

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.bridge.calls import Dual
    from vinyl.bridge.flows import use_driver
    from vinyl.bridge.greenlets import await_, in_bridge, run
    from vinyl.exceptions import NotAwaitedError, NotFetchedError, PoolTimeout
    from vinyl.orm import models, transaction
    from vinyl.orm.dualmode.connections import connection, connections
    from vinyl.orm.dualmode.lazy import NotFetched, fetch
    from vinyl.orm.dualmode.querysets import prefetch_related_objects
    from vinyl.orm.standalone import configure, lifespan
else:
    # Imported with their first use, as are the modules of this package: Django imports
    # the package before the app config can do anything.
    __getattr__ = importer_of(
        __name__,
        {
            "Dual": "vinyl.bridge.calls",
            "NotAwaitedError": "vinyl.exceptions",
            "NotFetched": "vinyl.orm.dualmode.lazy",
            "NotFetchedError": "vinyl.exceptions",
            "PoolTimeout": "vinyl.exceptions",
            "await_": "vinyl.bridge.greenlets",
            "configure": "vinyl.orm.standalone",
            "connection": "vinyl.orm.dualmode.connections",
            "connections": "vinyl.orm.dualmode.connections",
            "fetch": "vinyl.orm.dualmode.lazy",
            "in_bridge": "vinyl.bridge.greenlets",
            "lifespan": "vinyl.orm.standalone",
            "prefetch_related_objects": "vinyl.orm.dualmode.querysets",
            "run": "vinyl.bridge.greenlets",
            "use_driver": "vinyl.bridge.flows",
        },
    )

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


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
