"""Sessions that prepare statements soon, and what they have prepared."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.fix_db import default_at
from vinyl.orm.backends.statements import Statement

__all__ = ["ONE", "execute", "fetch", "fresh", "names", "prepared"]

ONE = Statement("SELECT id, name FROM records_artist WHERE id > %s ORDER BY id")


def fetch(*params: Any, statement: Statement = ONE) -> list[Any]:
    assert connection.prepare_fetch()
    found: list[Any] = connection.fetch(statement, params)
    return found


def names() -> set[str]:
    """Of the statements that this session has prepared for plans."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_prepared_statements WHERE name LIKE '_vinyl_%'"
        )
        return {name for (name,) in cursor.fetchall()}


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    connection.close()
    yield
    connection.close()


@pytest.fixture
def prepared() -> Iterator[None]:
    """A session that prepares a statement the second time."""
    with default_at(OPTIONS={"prepare_threshold": 1}):
        connection.close()
        yield
        execute("DROP TABLE IF EXISTS changing")
        connection.close()
