"""A statement has the placeholders of each driver."""

from __future__ import annotations

from vinyl.orm.backends.statements import Statement


def test_placeholders_are_those_of_the_driver() -> None:
    statement = Statement("SELECT a FROM b WHERE c = %s AND d IN (%s, %s)")
    assert statement.numbered == b"SELECT a FROM b WHERE c = $1 AND d IN ($2, $3)"
    assert statement.qmarks == "SELECT a FROM b WHERE c = ? AND d IN (?, ?)"


def test_percent_signs_are_single() -> None:
    statement = Statement("SELECT a %% 2 FROM b WHERE c LIKE %s || '%%s'")
    assert statement.numbered == b"SELECT a % 2 FROM b WHERE c LIKE $1 || '%s'"
    assert statement.qmarks == "SELECT a % 2 FROM b WHERE c LIKE ? || '%s'"
