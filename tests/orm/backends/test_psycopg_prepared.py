"""Statements of plans are prepared, and follow the schema and the session."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from tests.fix_db import default_at, only_postgresql
from tests.fix_kills import Killer
from tests.orm.backends.preparing import execute, fetch, fresh, names, prepared
from tests.records.models import Artist
from vinyl.orm import run
from vinyl.orm.backends import psycopg_prepared
from vinyl.orm.backends.psycopg_prepared import Prepared
from vinyl.orm.backends.statements import Statement
from vinyl.orm.pools.registry import close_pools

__all__ = ["fresh", "prepared"]

pytestmark = [pytest.mark.usefixtures("db"), only_postgresql]


TYPED = [
    "SELECT id FROM changing WHERE b = %s",
    "UPDATE changing SET b = %s",
]


class TestPreparing:
    def test_begins_after_five_runs(self) -> None:
        for _ in range(5):
            fetch(0)
        assert not names()
        fetch(0)
        assert len(names()) == 1
        # An integer of another size is none of another type.
        fetch(2**40)
        assert len(names()) == 1
        for _ in range(6):
            fetch(2**70)
        assert len(names()) == 2

    @pytest.mark.parametrize(
        "options",
        [
            {"OPTIONS": {"prepare_threshold": None}},
            {"DISABLE_SERVER_SIDE_CURSORS": True},
        ],
    )
    def test_is_left_out_behind_a_pooler(self, options: dict[str, Any]) -> None:
        with default_at(**options):
            connection.close()
            for _ in range(8):
                assert fetch(0) == []
            assert not names()
            connection.close()

    def test_closes_what_has_not_been_used_for_longest(self, prepared: None) -> None:
        fetch(0)
        connection.connection.prepared.maximum = 2
        statements = [Statement(f"SELECT {number}, %s::int") for number in range(3)]
        for statement in statements:
            for _ in range(2):
                fetch(1, statement=statement)
        first, *others = statements
        assert len(names()) == 2
        for statement in (*others, first):
            assert fetch(7, statement=statement)[0][1] == 7
        assert len(names()) == 2


class TestChanges:
    """Of the schema, and of what the session has prepared."""

    CHANGING = Statement("SELECT * FROM changing WHERE id > %s")

    def known(self) -> None:
        execute("DROP TABLE IF EXISTS changing")
        execute("CREATE TABLE changing (id int)")
        execute("INSERT INTO changing VALUES (1)")
        for _ in range(4):
            assert fetch(0, statement=self.CHANGING) == [(1,)]
        assert names()

    def test_by_others_are_noticed(
        self, prepared: None, admin: psycopg.Connection
    ) -> None:
        self.known()
        admin.execute("ALTER TABLE changing ADD b text DEFAULT 'b'")
        assert fetch(0, statement=self.CHANGING) == [(1, "b")]

    def test_by_others_fail_in_a_transaction_once(
        self, prepared: None, admin: psycopg.Connection
    ) -> None:
        self.known()
        admin.execute("ALTER TABLE changing ADD b text DEFAULT 'b'")
        with pytest.raises(DatabaseError, match="result type"), transaction.atomic():
            fetch(0, statement=self.CHANGING)
        with transaction.atomic():
            assert fetch(0, statement=self.CHANGING) == [(1, "b")]

    def test_in_the_transaction_itself_are_no_error(self, prepared: None) -> None:
        self.known()
        with transaction.atomic():
            execute("ALTER TABLE changing ADD b text DEFAULT 'b'")
            for _ in range(3):
                assert fetch(0, statement=self.CHANGING) == [(1, "b")]
            transaction.set_rollback(True)
        for _ in range(3):
            assert fetch(0, statement=self.CHANGING) == [(1,)]

    @pytest.mark.parametrize("sql", TYPED)
    def test_of_types_by_others_are_noticed(
        self, sql: str, prepared: None, admin: psycopg.Connection
    ) -> None:
        statement = self.typed(sql, admin)
        for _ in range(3):
            assert fetch("5", statement=statement) == [(1,)]

    @pytest.mark.parametrize("sql", TYPED)
    def test_of_types_by_others_fail_in_a_transaction_once(
        self, sql: str, prepared: None, admin: psycopg.Connection
    ) -> None:
        statement = self.typed(sql, admin)
        with pytest.raises(DatabaseError) as caught, transaction.atomic():
            fetch("5", statement=statement)
        cause: Any = caught.value.__cause__
        assert "will be prepared again" in cause.__notes__[0]
        for _ in range(3):
            with transaction.atomic():
                assert fetch("5", statement=statement) == [(1,)]

    def typed(self, sql: str, admin: psycopg.Connection) -> Statement:
        """A statement that has been prepared for a text, which is a number now."""
        execute("DROP TABLE IF EXISTS changing")
        execute("CREATE TABLE changing (id int, b varchar)")
        execute("INSERT INTO changing VALUES (1, '5')")
        statement = Statement(sql, counts=not sql.startswith("SELECT"))
        for _ in range(3):
            assert fetch("5", statement=statement) == [(1,)]
        assert len(names()) == 1
        admin.execute("ALTER TABLE changing ALTER b TYPE int USING b::int")
        return statement

    def test_that_make_an_error_leave_no_statements_behind(
        self, prepared: None, admin: psycopg.Connection
    ) -> None:
        statement = self.typed(TYPED[0], admin)
        admin.execute("ALTER TABLE changing DROP b")
        for _ in range(9):
            with pytest.raises(DatabaseError, match="does not exist"):
                fetch("5", statement=statement)
        fails = Statement("SELECT 1 FROM changing WHERE failing(id) = %s")
        execute(
            "CREATE OR REPLACE FUNCTION failing(int) RETURNS int LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE undefined_table; END $$"
        )
        for _ in range(9):
            with pytest.raises(DatabaseError, match="undefined_table"):
                fetch(1, statement=fails)
        execute("DROP FUNCTION failing(int)")
        assert len(names()) <= 1

    @pytest.mark.parametrize("command", ["DEALLOCATE ALL", "DISCARD ALL"])
    def test_statements_that_are_gone_are_prepared_again(
        self, command: str, prepared: None
    ) -> None:
        self.known()
        # Without a cursor of Django's, which would notice.
        connection.connection.pgconn.exec_(command.encode())
        for _ in range(3):
            assert fetch(0, statement=self.CHANGING) == [(1,)]
        assert names()

    def test_statements_that_are_gone_fail_a_transaction_once(
        self, prepared: None
    ) -> None:
        self.known()
        with pytest.raises(DatabaseError) as caught, transaction.atomic():
            connection.connection.pgconn.exec_(b"DEALLOCATE ALL")
            fetch(0, statement=self.CHANGING)
        cause: Any = caught.value.__cause__
        assert "DISABLE_SERVER_SIDE_CURSORS" in cause.__notes__[0]
        with transaction.atomic():
            assert fetch(0, statement=self.CHANGING) == [(1,)]

    def test_a_name_that_the_session_has_is_no_error(self, prepared: None) -> None:
        self.known()
        connection.connection.prepared = Prepared(1, 100)
        for _ in range(3):
            assert fetch(0, statement=self.CHANGING) == [(1,)]


@pytest.mark.anyio
async def test_in_the_bridge_as_well(prepared: None) -> None:
    def work() -> set[str]:
        for _ in range(3):
            assert fetch(0) == []
        return names()

    assert len(await run(work)) == 1


@pytest.mark.anyio
async def test_a_session_that_ends_while_it_prepares_is_lost(killer: Killer) -> None:
    async def exists() -> bool:
        return await Artist.objects.filter(name="Nina").exists()

    options = {"prepare_threshold": 0, "pool": {"max_size": 1}}
    with default_at(OPTIONS=options):
        for _ in range(2):
            await exists()
        async with killer.killing():
            assert not await exists()
        assert killer.kills == 1
        assert len(await run(names)) >= 1
        await close_pools()


def test_names_tell_statements_apart() -> None:
    prepared = Prepared(1, 100)
    key = b"SELECT $1", (23,)
    name = prepared.new_name(key)
    assert name != prepared.new_name((b"SELECT $1", (20,)))
    assert name == Prepared(1, 100).new_name(key)
    assert len(name) < 64
    prepared.forget()
    assert name != prepared.new_name(key)
    assert psycopg_prepared.CAN_CLOSE
