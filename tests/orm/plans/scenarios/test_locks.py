"""Queries that lock rows have plans, inside transactions only."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, union-attr"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError

from tests.fix_db import only_postgresql
from tests.orm.plans.planning import catalogue, thrice, uses_of
from tests.records.models import Album, Artist, Genre
from vinyl.orm import run
from vinyl.orm import transaction as dual_transaction
from vinyl.orm.plans.plan import Plan

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture(autouse=True)
def album(db: str) -> Album:
    return catalogue()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return uses_of(Plan, monkeypatch)


def locked() -> Any:
    return Album.objects.select_for_update()


QUERIES: dict[str, Callable[[], Any]] = {
    "get": lambda: locked().get(title="Album 1"),
    "rows": lambda: list(locked().filter(year__gt=0).order_by("pk")),
    "first": lambda: locked().filter(year__gt=0).first(),
    "iterator": lambda: list(locked().iterator()),
    "count": lambda: locked().count(),
    "exists": lambda: locked().filter(year=1).exists(),
    "of a manager": lambda: list(
        Artist.objects.get().albums.select_for_update().order_by("pk")
    ),
    "inside another": lambda: list(
        Album.objects.filter(pk__in=locked().values("pk")).order_by("pk")
    ),
    "then joined": lambda: list(
        Album.objects.select_for_update().select_related("artist").order_by("pk")
    ),
}
OPTIONS: dict[str, Callable[[], Any]] = {
    "nowait": lambda: list(Album.objects.select_for_update(nowait=True)),
    "skip_locked": lambda: list(Album.objects.select_for_update(skip_locked=True)),
    "no_key": lambda: list(Album.objects.select_for_update(no_key=True)),
    "of": lambda: list(
        Album.objects.select_related("artist").select_for_update(of=("self",))
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_has_a_plan(name: str, used: list[str]) -> None:
    with transaction.atomic():
        thrice(QUERIES[name], used)


@only_postgresql
@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_part_of_the_shape(name: str, used: list[str]) -> None:
    with transaction.atomic():
        thrice(lambda: list(locked()), used)
        plain = used[-1]
        thrice(OPTIONS[name], used)
    assert used[-1] != plain
    assert "UPDATE" in used[-1]


@only_postgresql
@pytest.mark.parametrize("name", ["get", "rows", "first", "iterator", "inside another"])
def test_without_a_transaction_it_is_refused(name: str) -> None:
    with transaction.atomic():
        for _ in range(4):
            QUERIES[name]()
    for _ in range(3):
        with pytest.raises(TransactionManagementError, match="outside of a transac"):
            QUERIES[name]()
    with transaction.atomic():
        QUERIES[name]()


def test_options_that_exclude_each_other_are_refused() -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="cannot be used with skip_locked"):
            Album.objects.select_for_update(nowait=True, skip_locked=True)


@only_postgresql
def test_a_relation_that_is_not_selected_is_refused() -> None:
    for _ in range(3):
        with transaction.atomic(), pytest.raises(Exception, match="Invalid field name"):
            list(Album.objects.select_for_update(of=("artist",)))


def test_the_queryset_is_for_writing() -> None:
    for _ in range(3):
        assert locked()._for_write
        assert not Album.objects.all()._for_write


@only_postgresql
def test_rows_are_locked() -> None:
    with transaction.atomic():
        for _ in range(4):
            found = locked().get(title="Album 1")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT xmax::text <> '0' FROM records_album WHERE id = %s", [found.pk]
            )
            assert cursor.fetchone() == (True,)


def test_update_or_create_has_plans(used: list[str]) -> None:
    Genre.objects.create(name="Jazz")

    def change() -> Any:
        genre, is_new = Genre.objects.update_or_create(
            name="Jazz", defaults={"name": "Jazz"}
        )
        return genre, is_new

    thrice(change, used)
    assert sum("SELECT" in sql for sql in used) == 1


def test_update_or_create_makes_what_is_missing(used: list[str]) -> None:
    made = []
    for number in range(4):
        used.clear()
        genre, is_new = Genre.objects.update_or_create(
            name=f"{number}", defaults={"name": f"{number}"}
        )
        made.append((genre.name, is_new))
    assert made == [(f"{number}", True) for number in range(4)]
    assert used


@pytest.mark.anyio
async def test_on_the_event_loop() -> None:
    vendor = await run(lambda: connection.vendor)
    for _ in range(4):
        async with dual_transaction.atomic():
            found = await locked().get(title="Album 1")
            found.year += 1
            await found.save()
    assert found.year == 5
    if vendor == "postgresql":
        with pytest.raises(TransactionManagementError, match="outside of a transac"):
            await locked().get(title="Album 1")
    for number in range(4):
        genre, is_new = await Genre.objects.update_or_create(name=f"{number % 2}")
        assert is_new == (number < 2)
