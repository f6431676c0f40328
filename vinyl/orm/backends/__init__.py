"""
Database backends that can wait on the event loop.

base.py         what every such DatabaseWrapper offers to the pool
fetching.py     what it offers to plans, which need no cursor
pipelines.py    reads of several tasks, sent together
outage.py       how long connects wait for a server that is away
reconnection.py reads that have lost their session, run again on another one
reads.py        which queries only read
psycopg.py      the mixin for backends built on Django's PostgreSQL backend
psycopg_connection.py
                its connection, which waits by blocking or on the event loop
psycopg_cursors.py
                what that adds to the cursors of psycopg
psycopg_waiting.py
                how psycopg's operations are cancelled in the server
psycopg_reader.py
                waits for the server on the event loop at little cost
psycopg_adapters.py
                how its values are loaded
psycopg_arrays.py
                columns of values as PostgreSQL's arrays
psycopg_statements.py
                statements of plans, which go to the server without a cursor
psycopg_prepared.py
                which of them a session has prepared
psycopg_pipeline.py
                several of them in one round trip
psycopg_formats.py
                whether their rows come as text or in binary
collection.py   the garbage collector pauses while rows become objects
statements.py   the SQL of a statement in the forms that drivers take
inline.py       converters of values as Python expressions
threaded.py     the mixin for any other Django backend: a thread per connection
worker.py       that thread
notifier.py     tells the event loop that a call in it has ended
settling.py     what happens to an operation whose task is cancelled
interruptions.py
                what that means for the transaction
spool.py        rows kept in memory, then in a file, while a stream is read
postgresql/     the ENGINE for PostgreSQL
sqlite3/        the ENGINE for SQLite
"""

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.orm.backends import (
        outage,
        psycopg_arrays,
        psycopg_connection,
        psycopg_cursors,
        psycopg_pipeline,
        psycopg_statements,
    )
else:
    # Modules that many processes do not need: imported with their first use.
    __getattr__ = importer_of(__name__)

__all__ = [
    "outage",
    "psycopg_arrays",
    "psycopg_connection",
    "psycopg_cursors",
    "psycopg_pipeline",
    "psycopg_statements",
]
