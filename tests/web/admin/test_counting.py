"""Counts up to a limit, and the server's estimates."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.paginator import EmptyPage
from django.db import connections
from django.db.models import QuerySet
from django.utils import translation

from tests.records.models import Album, Artist, Genre
from tests.web.admin.administering import AlbumAdmin, administering, superuser, text
from vinyl.orm import run
from vinyl.web.admin import AdminSite
from vinyl.web.admin.counting import (
    BoundedPaginator,
    Count,
    count,
    count_each,
    estimate,
    latest,
    same_rows,
)

pytestmark = pytest.mark.anyio

LIST = "/admin/records/album/"


def test_a_count_is_a_number_with_a_text_of_its_own() -> None:
    with translation.override("en"):
        assert f"{Count.at_least(10_000)}" == str(Count.at_least(10_000)) == "10,000+"
        assert str(Count.about(1_234_567)) == "~1,230,000"
        assert str(Count.about(12)) == "~12"
        assert str(Count.exactly(1234)) == "1234"
    with translation.override("de"):
        assert str(Count.at_least(10_000)) == "10.000+"
    assert Count.at_least(5) + 1 == 6
    assert f"{Count.at_least(5):03}" == "005"


def small(**attributes: Any) -> AdminSite:
    """A site whose lists have pages of 3 and count to 7."""
    options = {
        "list_per_page": 3,
        "list_max_show_all": 1,
        "count_limit": 7,
        "date_hierarchy": None,
        "list_filter": (),
        **attributes,
    }
    site = AdminSite()
    site.register(Album, type("Small", (AlbumAdmin,), options))
    return site


async def some_albums(number: int) -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    await Album.objects.bulk_create(
        Album(title=f"Album {i:02}", artist=artist, year=1900 + i)
        for i in range(number)
    )


@pytest.mark.usefixtures("db")
async def test_rows_are_counted_up_to_the_limit(queries: list[str]) -> None:
    await some_albums(9)
    rows = Album.objects.all()
    assert (await run(count, rows, 9), await run(count, rows, None)) == (9, 9)
    queries.clear()
    counted = await run(count, rows, 8)
    assert (counted, counted.is_exact) == (8, False)
    assert "LIMIT 9" in queries[0]


@pytest.mark.usefixtures("db")
async def test_a_list_beyond_the_limit_links_to_its_neighbours() -> None:
    await some_albums(14)
    # PostgreSQL may have analyzed the table by itself, at some time.
    async with administering(site=small()) as http:
        first = await http.get(LIST)
        assert re.search(r"Select all (7\+|~\d+) albums", text(first))
        assert re.search(r"… › (7\+|~\d+) albums", text(first))
        assert "Show all" not in text(first)
        assert re.findall(r"\?p=(\d)[^\"]*\" *>", first.text) == ["2", "3"]
        # Beyond the pages that were counted, and the last one.
        for number in (4, 5):
            page = await http.get(f"{LIST}?p={number}")
            assert f"Album {number * 3 - 3:02}" in page.text
            assert ('rel="next"' in page.text) is (number == 4)
        beyond = await http.get(f"{LIST}?p=6")
        assert beyond.headers["location"] == f"{LIST}?e=1"


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_postgresql_estimates_a_whole_table(queries: list[str]) -> None:
    def analyze() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("ANALYZE records_album")
            # As of a table that has never been analyzed.
            cursor.execute(
                "UPDATE pg_class SET reltuples = -1 "
                "WHERE oid = 'records_genre'::regclass"
            )

    await some_albums(14)
    await run(analyze)
    async with administering(site=small()) as http:
        assert "~14 albums" in text(await http.get(LIST))
        assert "7+ albums · ~14 total" in text(await http.get(f"{LIST}?q=nina"))
    rows = Album.objects
    for some in (
        rows.filter(year=1900),
        rows.all()[:3],
        rows.distinct(),
        rows.all().union(rows.all()),
    ):
        assert await run(estimate, some) is None
    assert await run(estimate, Genre.objects.all()) is None


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_sqlite_has_no_estimate() -> None:
    await some_albums(1)
    assert await run(estimate, Album.objects.all()) is None


def test_one_count_serves_rows_with_the_same_conditions() -> None:
    rows = Album.objects.filter(year=1965)
    assert same_rows(rows, rows.order_by("title").select_related("artist"))
    assert not same_rows(rows, rows.filter(title="x"))
    assert not same_rows(rows, rows.distinct())
    assert not same_rows(rows, Album.objects.all())


def test_pages_of_a_list_in_memory() -> None:
    pages = BoundedPaginator(range(10), 3)
    assert pages.count == 10
    assert pages.count.is_exact
    assert [*pages.get_elided_page_range(4)] == [1, 2, 3, 4]
    with pytest.raises(EmptyPage):
        pages.validate_number(5)


@pytest.mark.usefixtures("db")
async def test_pages_beyond_the_limit_are_left_out_or_shown_around_this_one() -> None:
    await some_albums(14)
    pages = BoundedPaginator(Album.objects.order_by("pk"), 1)
    pages.limit = 12
    dots = pages.ELLIPSIS

    def ranges() -> list[list[Any]]:
        return [[*pages.get_elided_page_range(n)] for n in (1, 8, 14)]

    first, middle, last = await run(ranges)
    assert first == [1, 2, 3, 4, dots]
    assert middle == [1, 2, dots, 5, 6, 7, 8, 9, 10, 11, dots]
    assert last == [1, 2, dots, 11, 12, 13, 14, dots]
    for number in (0, 2**63):
        with pytest.raises(EmptyPage):
            await run(pages.validate_number, number)


@pytest.mark.usefixtures("db")
async def test_counts_of_many_querysets_share_queries(queries: list[str]) -> None:
    await some_albums(9)
    rows = Album.objects.all()
    some = [rows.filter(year=1900 + i) for i in range(30)]
    odd = [rows.none(), rows, rows.values("artist").distinct(), rows.order_by("title")]
    queries.clear()
    found = await run(count_each, [*some, *odd], 4)
    assert [*found] == [*[1] * 9, *[0] * 21, 0, 4, 1, 4]
    assert [one.is_exact for one in found] == [*[True] * 31, False, True, False]
    assert len(queries) == 2
    assert await run(count_each, [], 4) == []


@pytest.mark.usefixtures("db")
async def test_the_latest_rows_are_those_of_the_last_keys(queries: list[str]) -> None:
    await some_albums(9)
    rows = Album.objects.filter(year__gt=1905).order_by("pk")
    assert await run(latest, rows, 9) is rows
    queries.clear()
    some = await run(latest, rows, 2)
    assert [album.year for album in await some] == [1907, 1908]
    # Of the table, and not of these rows.
    early = await run(latest, Album.objects.filter(year__lt=1905), 2)
    assert await early.count() == 0


class Knowing(QuerySet[Any]):
    """A queryset of a project that has its number from somewhere else."""

    def count(self) -> int:
        return 3


@pytest.mark.usefixtures("db")
async def test_a_count_of_a_project_is_asked() -> None:
    await some_albums(9)
    assert await run(count, Knowing(Album), 5) == 3
