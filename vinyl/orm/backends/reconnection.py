"""
Reconnection: a read that has lost its session is run again on another one.

Only on the connections of a pool. A thread keeps its connection, with whatever its code
has set in the session, so there all is as in Django.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from itertools import chain
from types import GeneratorType
from typing import Any

from django.db import Error

from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.reads import is_read

__all__ = ["patch_execute_sql", "prepare_retry"]

logger = logging.getLogger("vinyl.pool")


def prepare_retry(error: Exception, connection: Any, query: Any) -> bool:
    """
    Whether a query that failed is to be run once more: it only reads, it was outside
    any transaction, the session has ended, and no code relies on the session. Then the
    connection is closed, and connects with its next use.

    To be called before the first row has been given to anybody, and once for a query:

        try:
            rows = fetch()
        except Error as error:
            if not prepare_retry(error, connection, query):
                raise
            rows = fetch()

    Args:
        error: What Django's connection has raised.
        connection: Django's connection that has run the query.
        query: The query that its compiler has.

    Never switches.
    """
    if (
        not isinstance(connection, BridgeMixin)
        or not connection.may_replace_session()
        or not connection.session_is_lost(error)
        or not is_read(query)
    ):
        return False
    logger.warning(
        "The connection to database %r was lost in a query, which is run again on a "
        "new connection: %s",
        connection.alias,
        # The other lines quote the query, with its values.
        str(error).partition("\n")[0],
    )
    connection.replace_session()
    return True


def patch_execute_sql(execute_sql: Callable[..., Any]) -> Callable[..., Any]:
    """
    `SQLCompiler.execute_sql()`, which runs a read again if its connection is lost
    before the first row.
    """

    @functools.wraps(execute_sql)
    def execute_and_retry(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self.connection
        try:
            found = execute_sql(self, *args, **kwargs)
            if isinstance(found, GeneratorType) and _may_retry(connection):
                return _begun(found, kwargs.get("chunk_size"))
            return found
        except Error as error:
            if not prepare_retry(error, connection, self.query):
                raise
        return execute_sql(self, *args, **kwargs)

    return execute_and_retry


def _begun(chunks: Any, chunk_size: int | None) -> Iterator[Any]:
    """
    *chunks*, the rows of a server-side cursor, with the first one fetched. If it is not
    full, it is the last one, and the cursor is closed.
    """
    first = next(chunks, None)
    if first is None:
        return iter(())
    if chunk_size is not None and len(first) < chunk_size:
        chunks.close()
        return iter((first,))
    return chain((first,), chunks)


def _may_retry(connection: Any) -> bool:
    return isinstance(connection, BridgeMixin) and connection.may_replace_session()
