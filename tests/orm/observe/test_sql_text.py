"""What is shown of a query: its text, shortened, and a summary."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import sql as psycopg_sql

from tests.fix_db import only_postgresql
from tests.fix_observing import Call, Log, execute
from vinyl.orm.observe import sql_text


class TestText:
    def test_long_sql_is_cut_in_the_middle(self, call: Call, log: Log) -> None:
        text = f"SELECT '{'x' * 10_000}' AS the_end"
        call(lambda: execute(text))
        shown = vars(log.one("the_end"))["sql"]
        assert shown.startswith("SELECT 'xxx")
        assert shown.endswith("xxx' AS the_end")
        assert f"[{len(text) - sql_text.LONGEST_SQL} characters]" in shown
        assert len(shown) < sql_text.LONGEST_SQL + 30

    @only_postgresql
    def test_sql_composed_with_psycopg(self, call: Call, log: Log) -> None:
        query = psycopg_sql.SQL("SELECT {} AS {}").format(
            "secret", psycopg_sql.SQL("x")
        )
        call(lambda: execute(query))
        assert vars(log.one("AS x"))["sql"] == "SELECT %s AS x"

    @pytest.mark.parametrize(
        ("sql", "text"),
        [
            (b"SELECT 1", "SELECT 1"),
            (psycopg_sql.Identifier("album"), '"album"'),
            (["secret"], "<list>"),
        ],
        ids=["bytes", "an identifier", "something unknown"],
    )
    def test_other_kinds_of_query(self, sql: Any, text: str) -> None:
        assert sql_text.text_of(sql) == text

    @pytest.mark.parametrize(
        ("sql", "summary"),
        [
            ('SELECT "a"."x" FROM "a" INNER JOIN "b" ON (1 = 1)', "SELECT a b"),
            ('SELECT COUNT(*) FROM (SELECT "x" FROM "a") s', "SELECT a"),
            ('SELECT EXTRACT(YEAR FROM "a"."x") FROM "a"', "SELECT a"),
            ('SELECT 1 FROM "a" WHERE x IS DISTINCT FROM y', "SELECT a"),
            ('SELECT "x" FROM "a" FOR NO KEY UPDATE', "SELECT a"),
            ("SELECT 'it''s FROM secret' FROM a", "SELECT a"),
            ("-- SELECT\n/* FROM b */ select 1", "select"),
            ('UPDATE "s"."a" SET "from" = %s', "UPDATE s.a"),
            ('DELETE FROM "a" WHERE x IN (SELECT 1 FROM "b")', "DELETE a SELECT b"),
            ('INSERT INTO "a" VALUES (1) ON CONFLICT DO UPDATE SET x = 1', "INSERT a"),
            ('INSERT INTO "a" SELECT * FROM "b"', "INSERT a SELECT b"),
            ("WITH RECURSIVE t AS (SELECT 1) SELECT n FROM t", "SELECT t"),
            ('CREATE TABLE IF NOT EXISTS "a" ("id" int)', "CREATE a"),
            ('SAVEPOINT "s1"', "SAVEPOINT"),
            ("", ""),
        ],
    )
    def test_a_summary(self, sql: str, summary: str) -> None:
        assert sql_text.summary_of(sql) == summary

    def test_a_summary_is_short(self) -> None:
        tables = " ".join(f'JOIN "table_{number}"' for number in range(100))
        summary = sql_text.summary_of(f"SELECT 1 FROM a {tables}")
        assert summary.startswith("SELECT a table_0 table_1")
        assert len(summary) <= sql_text.LONGEST_SUMMARY
