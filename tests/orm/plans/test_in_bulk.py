"""`in_bulk()` has plans, with the results and errors of Django."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, union-attr"

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import django
import pytest
from django.db.models import Count

from tests.orm.plans.planning import catalogue, outcome_of, thrice, uses_of
from tests.records.models import Album, Artist
from vinyl.orm import run
from vinyl.orm.plans.plan import Plan
from vinyl.orm.plans.trails import trail_of

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture(autouse=True)
def keys(db: str) -> list[int]:
    catalogue()
    return sorted(Album.objects.values_list("pk", flat=True))


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return uses_of(Plan, monkeypatch)


USES: dict[str, Callable[[Any, list[int]], Any]] = {
    "a list of keys": lambda albums, keys: albums.in_bulk(keys[:2]),
    "a generator": lambda albums, keys: albums.in_bulk(key for key in keys),
    "all": lambda albums, keys: albums.in_bulk(),
    "after a filter": lambda albums, keys: albums.filter(year__gt=0).in_bulk(keys),
    "with annotations": lambda albums, keys: {
        key: album.number
        for key, album in albums.annotate(number=Count("tracks")).in_bulk(keys).items()
    },
    "related": lambda albums, keys: Artist.objects.get().albums.in_bulk(keys),
    "by another field": lambda albums, keys: Artist.objects.in_bulk(
        ["Nina Simone"], field_name="name"
    ),
}


@pytest.mark.parametrize("name", USES)
def test_it_has_a_plan(name: str, keys: list[int], used: list[str]) -> None:
    found = thrice(lambda: USES[name](Album.objects.all(), keys), used)
    assert len(found) in (1, 2, 3)


REFUSED: dict[str, Callable[[], Any]] = {
    "a slice": lambda: Album.objects.all()[:2].in_bulk([1]),
    "a field that is not unique": lambda: Album.objects.in_bulk([1], field_name="year"),
    "no field": lambda: Album.objects.in_bulk([1], field_name="nothing"),
    "no list": lambda: Album.objects.in_bulk(cast(Any, 5)),
}
if django.VERSION < (6, 1):
    REFUSED["values"] = lambda: Album.objects.values("pk").in_bulk([1])


@pytest.mark.parametrize("name", REFUSED)
def test_what_django_refuses_is_refused(name: str) -> None:
    first = outcome_of(REFUSED[name])
    assert issubclass(
        first[0][0] if isinstance(first[0], tuple) else first[0], Exception
    )
    assert outcome_of(REFUSED[name]) == first


def test_no_keys_take_no_query(keys: list[int]) -> None:
    for _ in range(3):
        assert Album.objects.in_bulk([]) == {}


def test_the_queryset_stays_as_it_was(keys: list[int]) -> None:
    albums = Album.objects.filter(year__lt=9)
    for _ in range(3):
        assert albums.in_bulk(keys[:1])
    assert trail_of(albums) is not None
    assert len(albums) == 3
    # From the rows that it has, or from another query, as in Django.
    assert [*albums.in_bulk(keys)] == [*albums.in_bulk()]


def test_two_querysets_of_a_shape_do_not_share_values(keys: list[int]) -> None:
    for year in (0, 1, 2, 0):
        albums = Album.objects.filter(year=year)
        assert [one.year for one in albums.in_bulk(keys).values()] == [year]
        assert [one.year for one in albums.in_bulk().values()] == [year]


@pytest.mark.anyio
async def test_on_the_event_loop() -> None:
    keys = await run(list, Album.objects.values_list("pk", flat=True))
    for _ in range(4):
        assert (await Album.objects.in_bulk(keys)).keys() == {*keys}
