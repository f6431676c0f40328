"""
Reads of several tasks in one pipeline of libpq: sent together, then answered in order.

A Sync message follows each read, so that the server does with it what it does with the
same read alone: outside a transaction each is a transaction of its own, an error of one
leaves the others alone unless they share its transaction, and no reply waits in the
server for those of later reads. For short reads, one Sync after all of them takes half
the time: no system call for each, and one transaction.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus, PipelineStatus

from vinyl.orm.backends.pipelines import Read, Replies
from vinyl.orm.backends.psycopg_prepared import IDLE, TEXT, PreparedStatement
from vinyl.orm.backends.psycopg_statements import (
    COMMAND_OK,
    TUPLES_OK,
    dumped,
    loaded,
    only_result,
)

if TYPE_CHECKING:
    from vinyl.orm.backends.psycopg_connection import BridgeConnection

__all__ = ["fetch_together"]

SYNC = int(ExecStatus.PIPELINE_SYNC)
ABORTED = int(ExecStatus.PIPELINE_ABORTED)


class _Sent:
    """A read and the commands that are sent for it."""

    __slots__ = ("error", "key", "known", "params", "preparing", "read", "statuses")

    def __init__(self, read: Read) -> None:
        self.read = read
        # The parameters, their types and formats.
        self.params: tuple[Any, Any, Any] = (), (), ()
        # The text of the statement, with the types of the parameters.
        self.key: Any = None
        # The prepared statement that it uses; None if it uses none.
        self.known: PreparedStatement | None = None
        # The number of the command that prepares it; None if none does.
        self.preparing: int | None = None
        # The statuses of the results of its commands, if they succeed.
        self.statuses: list[int] = []
        # Why the commands could not be sent.
        self.error: Exception | None = None

    def send(self, connection: BridgeConnection, begins: bool) -> None:
        """Put the commands into the pipeline, with BEGIN before them if it *begins*."""
        pgconn = connection.pgconn
        numbered, statuses = self.read.statement.numbered, self.statuses
        values, types, formats = self.params
        if begins:
            pgconn.send_query_params(connection._get_tx_start_command(), None)
            statuses.append(COMMAND_OK)
        self.key = numbered, types
        known = self._prepared(connection)
        if known is None:
            pgconn.send_query_params(numbered, values, types, formats, TEXT)
        else:
            format = known.format_for(connection)
            pgconn.send_query_prepared(known.name, values, formats, format)
        statuses.append(TUPLES_OK)

    def _prepared(self, connection: BridgeConnection) -> PreparedStatement | None:
        """The prepared statement, which is prepared if it is due; None without one."""
        pgconn, prepared, key = connection.pgconn, connection.prepared, self.key
        self.known = prepared.get(key)
        if self.known is None and prepared.is_due(key):
            if (surplus := prepared.surplus()) is not None:
                pgconn.send_close_prepared(surplus)
                self.statuses.append(COMMAND_OK)
            name = prepared.new_name(key)
            pgconn.send_prepare(name, *key)
            self.preparing = len(self.statuses)
            self.statuses.append(COMMAND_OK)
            # Before it has succeeded, so that later reads use it, too.
            self.known = prepared.add(key, name)
        return self.known

    def rows(self, connection: BridgeConnection, found: list[list[Any]]) -> list[Any]:
        """
        The rows in *found*, the results of the commands.

        Raises: the first error of the commands, or of loading the rows.
        """
        if self.error is not None:
            raise self.error
        for results, status in zip(found, self.statuses, strict=True):
            result = only_result(connection, results, status)
        return loaded(connection, self.known, result)

    def discard_unprepared(
        self, connection: BridgeConnection, found: list[list[Any]]
    ) -> None:
        """Forget the statement that was to be prepared, if *found* says it was not."""
        if self.preparing is not None and found[self.preparing][0].status != COMMAND_OK:
            connection.prepared.discard(self.key)
            self.known = None


def fetch_together(
    connection: BridgeConnection,
    reads: list[Read],
    replies: Replies,
    syncs_once: bool = False,
) -> Generator[Any, Any, None]:
    """
    Send *reads* in one pipeline and pass on their replies as they arrive: a generator
    for `connection.wait()`.

    A read outside a transaction whose statement has to be prepared again gets no reply.

    Args:
        syncs_once: Whether one Sync follows all reads. Then those after one that fails
            get no reply.

    Raises:
        psycopg.Error: The connection is lost.
    """
    pgconn = connection.pgconn
    begins = is_repeatable = False
    if pgconn.transaction_status == IDLE:
        connection.prepared.is_off = False
        is_repeatable = connection.autocommit
        begins = not is_repeatable
    ready = []
    for read in reads:
        sent = _Sent(read)
        try:
            sent.params = dumped(connection, read.params)
        except Exception as error:
            replies.reply(read, None, error)
        else:
            ready.append(sent)
    if not ready:
        return
    pgconn.enter_pipeline_mode()
    try:
        for sent in ready:
            try:
                sent.send(connection, begins)
            except psycopg.Error as error:
                sent.error = error
            begins = False
            if not syncs_once or sent is ready[-1]:
                pgconn.pipeline_sync()
        # Reads the replies that arrive meanwhile, or both sides could wait for room.
        yield from send(pgconn)
        for sent in ready:
            is_synced = not syncs_once or sent is ready[-1]
            count = len(sent.statuses)
            found = yield from _results(connection, count, replies, is_synced)
            _answer(connection, sent, found, replies, is_repeatable)
    finally:
        # Fails if a result has not been read.
        with suppress(psycopg.Error):
            pgconn.exit_pipeline_mode()
        if pgconn.pipeline_status != PipelineStatus.OFF:
            pgconn.finish()


def _results(
    connection: BridgeConnection, count: int, replies: Replies, is_synced: bool
) -> Generator[Any, Any, list[list[Any]]]:
    """The results of the next *count* commands, before a Sync if it *is_synced*."""
    pgconn = connection.pgconn
    encoding = connection.info.encoding
    found: list[list[Any]] = []
    lost = psycopg.OperationalError("the connection is lost")
    if pgconn.is_busy():
        replies.deliver()
    try:
        for _ in range(count):
            results = yield from fetch_many(pgconn)
            found.append(results)
        end = (yield from fetch_many(pgconn)) if is_synced else None
    except psycopg.OperationalError as error:
        lost, end = error, []
    if all(found) and (end is None or [result.status for result in end] == [SYNC]):
        return found
    # A session that ends sends its reason. Without one, or if the results are not those
    # of the commands, no further result is known to belong to a read.
    pgconn.finish()
    for results in found:
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result, encoding)
    raise lost


def _answer(
    connection: BridgeConnection,
    sent: _Sent,
    found: list[list[Any]],
    replies: Replies,
    is_repeatable: bool,
) -> None:
    """Pass on the reply to *sent*, whose results are *found*."""
    if found and found[0][0].status == ABORTED:
        # A read before has failed, and one Sync follows both.
        sent.discard_unprepared(connection, found)
        return
    try:
        rows = sent.rows(connection, found)
    except Exception as error:
        sent.discard_unprepared(connection, found)
        note = None
        if isinstance(error, psycopg.Error):
            note = connection.prepared.discard_after(error, sent.key, sent.known)
        if note is not None:
            if is_repeatable:
                return
            error.add_note(note)
        replies.reply(sent.read, None, error)
    else:
        replies.reply(sent.read, rows)
