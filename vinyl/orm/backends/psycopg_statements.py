"""
Statements that go to PostgreSQL without a cursor, prepared and bound in the server.

A cursor of psycopg's costs twice as much as all else that a small query needs in the
client. A statement of a plan needs none: its text and the types of its parameters are
known, and its rows are read at once.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import execute, fetch_many, send
from psycopg.pq import ExecStatus, Format
from psycopg.types.numeric import Int2, Int4, Int8, IntNumeric

from vinyl.orm.backends.collection import MANY as MANY_ROWS
from vinyl.orm.backends.collection import Pause
from vinyl.orm.backends.psycopg_adapters import TIMESTAMPTZ, dumper_of
from vinyl.orm.backends.psycopg_formats import format_of
from vinyl.orm.backends.psycopg_prepared import IDLE, TEXT, PreparedStatement
from vinyl.orm.backends.statements import Statement

if TYPE_CHECKING:
    from vinyl.orm.backends.psycopg_connection import BridgeConnection

__all__ = [
    "CAN_PIPELINE",
    "COMMAND_OK",
    "TUPLES_OK",
    "dumped",
    "fetch_rows",
    "loaded",
    "only_result",
]

# As plain numbers, which is what psycopg's libpq wrapper gives.
TUPLES_OK, COMMAND_OK = int(ExecStatus.TUPLES_OK), int(ExecStatus.COMMAND_OK)
# Whether BEGIN can be sent together with the first statement.
CAN_PIPELINE = psycopg.Pipeline.is_supported()
AUTO = PyFormat.AUTO
# The types of integers that Django passes, and the first number too big for each.
BIGINT = 2**63
SIZES: dict[type, int] = {int: BIGINT, Int2: 2**15, Int4: 2**31, Int8: BIGINT}
# As the class itself, without its method in Python.
_int8 = int.__new__

# From this number of parameters on, they are dumped together if all are integers.
MANY = 8
_INT8 = Int8(0)


def fetch_rows(
    connection: BridgeConnection,
    statement: Statement,
    params: tuple[Any, ...],
    is_repeated: bool = False,
) -> Generator[Any, Any, list[Any]]:
    """
    Run *statement* and return its rows: a generator for `connection.wait()`.

    A statement that was prepared before the schema changed is prepared again, unless a
    transaction has failed with it.

    Raises:
        psycopg.Error: The server has refused it, or the connection is lost.
    """
    pgconn = connection.pgconn
    prepared = connection.prepared
    is_idle = pgconn.transaction_status == IDLE
    begins = False
    if is_idle:
        prepared.is_off = False
        begins = not connection.autocommit
        is_idle = not begins
    values, types, formats = dumped(connection, params)
    key = statement.numbered, types
    known: PreparedStatement | None = None
    try:
        known = prepared.get(key)
        if known is None and prepared.is_due(key):
            if begins:
                yield from connection._start_query()
                begins = False
            known = yield from _prepare(connection, statement, key)
        if begins and not CAN_PIPELINE:
            yield from connection._start_query()
            begins = False
        if begins:
            pgconn.enter_pipeline_mode()
            begin = connection._get_tx_start_command()
            pgconn.send_query_params(begin, None)
        if known is None:
            pgconn.send_query_params(statement.numbered, values, types, formats, TEXT)
        else:
            format = known.format_for(connection)
            pgconn.send_query_prepared(known.name, values, formats, format)
        if begins:
            results = yield from _after_begin(connection)
        else:
            results = yield from execute(pgconn)
        status = COMMAND_OK if statement.counts else TUPLES_OK
        result = only_result(connection, results, status)
    except psycopg.Error as error:
        note = prepared.discard_after(error, key, known)
        if note is None:
            raise
        if not is_idle or is_repeated:
            error.add_note(note)
            raise
    else:
        if statement.counts:
            return [(result.command_tuples,)]
        return loaded(connection, known, result)
    return (yield from fetch_rows(connection, statement, params, is_repeated=True))


def dumped(
    connection: BridgeConnection, params: tuple[Any, ...]
) -> tuple[Any, Any, Any]:
    """
    Return *params* as the server takes them, with their types and formats. Never
    switches.

    Raises: what psycopg's dumpers raise.
    """
    if not params:
        return (), (), ()
    transformer = dumper_of(connection)
    if (len(params) == 1 or len(params) >= MANY) and _are_bigints(params):
        # As below, without a type for each value.
        dumper = transformer.get_dumper(_INT8, AUTO)
        values = list(map(dumper.dump, params))
        return values, (dumper.oid,) * len(params), [dumper.format] * len(params)
    sized = []
    for value in params:
        if (size := SIZES.get(type(value))) is None:
            sized.append(value)
        elif -size <= value < size:
            # One statement for plain integers of any size.
            sized.append(_int8(Int8, value) if type(value) is int else value)
        else:
            sized.append(_fitting(value))
    values = transformer.dump_sequence(sized, [AUTO] * len(sized))
    return values, transformer.types, transformer.formats


def _are_bigints(params: tuple[Any, ...]) -> bool:
    """Whether *params* are plain integers that fit into a bigint. Never switches."""
    if len(params) == 1:
        (param,) = params
        return type(param) is int and -BIGINT <= param < BIGINT
    return {int}.issuperset(map(type, params)) and (
        min(params) >= -BIGINT and max(params) < BIGINT
    )


def loaded(
    connection: BridgeConnection, known: PreparedStatement | None, result: Any
) -> list[Any]:
    """
    Return the rows of *result*, and note in which format those of *known* are to come.
    Never switches.

    Raises: what psycopg's loaders raise.
    """
    if known is not None and known.format is None:
        oids = {result.ftype(number) for number in range(result.nfields)}
        known.format = format_of(connection, oids)
        known.has_times = TIMESTAMPTZ in oids
    is_kept = (
        known is not None
        and not known.has_times
        and result.nfields
        and result.fformat(0) == Format.BINARY
    )
    transformer: Any
    if known is not None and is_kept and known.loader is not None:
        transformer = known.loader
        transformer.set_pgresult(result, set_loaders=False)
    else:
        transformer = Transformer(connection)
        transformer.set_pgresult(result)
        if known is not None and is_kept:
            known.loader = transformer
    rows: list[Any]
    count = result.ntuples
    if count < MANY_ROWS:
        rows = transformer.load_rows(0, count, tuple)
    else:
        with Pause(count):
            rows = transformer.load_rows(0, count, tuple)
    if is_kept:
        # It would keep the result.
        transformer.set_pgresult(None, set_loaders=False)
    return rows


def _after_begin(connection: BridgeConnection) -> Generator[Any, Any, list[Any]]:
    """
    Send BEGIN and a statement, which are in the pipeline, and return the results of the
    statement.
    """
    pgconn = connection.pgconn
    try:
        pgconn.pipeline_sync()
        yield from send(pgconn)
        begun = yield from fetch_many(pgconn)
        results: list[Any] = yield from fetch_many(pgconn)
        # The result of the synchronization.
        yield from fetch_many(pgconn)
    finally:
        try:
            pgconn.exit_pipeline_mode()
        except psycopg.Error:
            # The results have not been read, because the connection is lost.
            pass
    only_result(connection, begun, COMMAND_OK)
    return results


def _fitting(value: int) -> int:
    """
    Return *value*, too big for its type, as one that has room for it: psycopg cuts off
    upper bits silently.
    """
    return Int8(value) if -BIGINT <= value < BIGINT else IntNumeric(value)


def _prepare(
    connection: BridgeConnection, statement: Statement, key: Any
) -> Generator[Any, Any, PreparedStatement]:
    """Prepare *statement*."""
    pgconn = connection.pgconn
    if (surplus := connection.prepared.surplus()) is not None:
        pgconn.send_close_prepared(surplus)
        yield from execute(pgconn)
    name = connection.prepared.new_name(key)
    pgconn.send_prepare(name, statement.numbered, key[1])
    only_result(connection, (yield from execute(pgconn)), COMMAND_OK)
    return connection.prepared.add(key, name)


def only_result(connection: BridgeConnection, results: list[Any], status: int) -> Any:
    """
    Return the only one of *results*, if it has *status*. Never switches.

    Raises:
        psycopg.Error: The first error of *results*.
    """
    # A session that ends sends its reason, and then libpq adds that it has ended.
    for result in results:
        if result.status != status:
            raise psycopg.errors.error_from_result(result, connection.info.encoding)
    return results[0]
