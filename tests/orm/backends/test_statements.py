"""The placeholders of a statement are numbered for PostgreSQL."""

from __future__ import annotations

from vinyl.orm.backends.statements import Statement


def test_placeholders_are_numbered_in_order() -> None:
    statement = Statement("SELECT a FROM b WHERE c = %s AND d IN (%s, %s)")
    assert statement.numbered == b"SELECT a FROM b WHERE c = $1 AND d IN ($2, $3)"


def test_percent_signs_are_single() -> None:
    statement = Statement("SELECT a %% 2 FROM b WHERE c LIKE %s || '%%s'")
    assert statement.numbered == b"SELECT a % 2 FROM b WHERE c LIKE $1 || '%s'"
