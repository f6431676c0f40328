"""The query of a plan runs without a cursor unless something depends on one."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import functools
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.utils import CursorWrapper
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Artist
from vinyl.orm import run

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture
def fetched(db: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each query that has no cursor."""
    found: list[str] = []
    wrapper_class: Any = type(connections["default"])
    fetch = wrapper_class.fetch_rows

    def noted(self: Any, statement: Any, params: Any) -> list[Any]:
        found.append(statement.sql)
        rows: list[Any] = fetch(self, statement, params)
        return rows

    monkeypatch.setattr(wrapper_class, "fetch_rows", noted)
    return found


def years() -> list[int]:
    return [album.year for album in Album.objects.filter(year__gt=0).order_by("year")]


def test_in_sync_mode(fetched: list[str]) -> None:
    catalogue()
    fetched.clear()
    for _ in range(3):
        assert years() == [1, 2]
    assert len(fetched) == 1


@pytest.mark.anyio
async def test_in_the_bridge(fetched: list[str]) -> None:
    await run(catalogue)
    fetched.clear()
    for _ in range(3):
        assert await run(years) == [1, 2]
    assert len(fetched) == 1


def test_not_where_queries_are_logged_or_wrapped(fetched: list[str]) -> None:
    catalogue()
    for _ in range(3):
        years()
    fetched.clear()
    with CaptureQueriesContext(connection) as queries:
        assert years() == [1, 2]
    assert len(queries) == 1
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args)

    with connection.execute_wrapper(wrapper):
        assert years() == [1, 2]
    assert len(seen) == 1
    assert not fetched


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a tool sees that replaces the method of Django's cursors."""
    found: list[str] = []
    execute = CursorWrapper.execute

    # As Sentry does it, with the names of the method.
    @functools.wraps(execute)
    def noting(self: Any, sql: str, params: Any = None) -> Any:
        found.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", noting)
    return found


def test_not_where_a_tool_replaces_djangos_cursor(
    seen: list[str], fetched: list[str]
) -> None:
    catalogue()
    seen.clear()
    for _ in range(4):
        years()
    assert len(seen) == 4
    assert not fetched


@pytest.mark.anyio
async def test_nor_on_the_loop(seen: list[str], fetched: list[str]) -> None:
    await run(catalogue)
    seen.clear()
    for _ in range(4):
        await Album.objects.get(year=1)
        await run(years)
    assert len(seen) == 8
    assert not fetched


def test_nor_where_a_tool_replaces_the_cursor_of_the_connection(
    fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue()
    for _ in range(3):
        years()
    fetched.clear()
    opened: list[bool] = []
    cursor = connection.cursor

    def noting() -> Any:
        opened.append(True)
        return cursor()

    wrapper = connections["default"]
    monkeypatch.setattr(wrapper, "cursor", noting)
    assert years() == [1, 2]
    assert len(opened) == 1
    assert not fetched


@pytest.mark.parametrize("method", ["_cursor", "create_cursor"])
def test_nor_where_a_backend_does_something_for_each_cursor(
    fetched: list[str], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """That of django-tenants chooses the schema in its `_cursor()`."""
    catalogue()
    for _ in range(3):
        years()
    fetched.clear()
    opened: list[Any] = []
    wrapper: Any = connections["default"]
    original = getattr(type(wrapper), method)

    def noting(self: Any, name: Any = None) -> Any:
        opened.append(name)
        return original(self, name) if name else original(self)

    backend = type("DatabaseWrapper", (type(wrapper),), {method: noting})
    backend.__module__ = "tenants.base"
    monkeypatch.setattr(wrapper, "__class__", backend)
    assert years() == [1, 2]
    Album.objects.filter(year=1).update(year=3)
    Artist.objects.create(name="Etta")
    assert len(opened) == 3
    assert not fetched


def test_sees_what_the_transaction_has_written(fetched: list[str]) -> None:
    catalogue()
    for _ in range(3):
        years()
    Album.objects.update(year=F("year") + 10)
    fetched.clear()
    assert years() == [10, 11, 12]
    assert len(fetched) == 1


def test_of_inserts(fetched: list[str]) -> None:
    for number in range(4):
        artist = Artist.objects.create(name=f"{number}")
        assert Artist.objects.values_list("name", flat=True).get(pk=artist.pk)
    assert len([sql for sql in fetched if sql.startswith("INSERT")]) == 3
