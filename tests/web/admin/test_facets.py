"""Counts of the choices of filters in tables of any size."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin import DateFieldListFilter

from tests.records.models import Album, Artist, Genre, Label
from tests.web.admin.administering import administering, superuser, text
from tests.web.admin.test_filters import LIST, site_with
from vinyl.web.admin import SimpleListFilter, facets

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class Early(SimpleListFilter):
    title = "early"
    parameter_name = "early"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("yes", "Early"), ("no", "Late")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "yes":
            return queryset.filter(year__lt=1958)
        if self.value() == "no":
            return queryset.filter(year__gte=1958)
        return queryset


def faceted(list_filter: Any, limit: int) -> Any:
    pages = {"list_per_page": 3, "list_max_show_all": 1}
    return site_with(list_filter, count_limit=limit, **pages)


def counts(page: Any, word: str) -> list[str]:
    """The numbers beside the choices of a filter whose texts begin with *word*."""
    aside = page.text.partition("<aside")[2]
    return re.findall(rf">{word}[^<]* \(([^<]*)\)<", aside)


@pytest.fixture
async def albums() -> list[Album]:
    """
    One album of each of four labels, from 1955 to 1958; then six of the third, of 1990.
    """
    await superuser()
    nina = await Artist.objects.create(name="Nina Simone")
    labels = [await Label.objects.create(name=f"Label {i:02}") for i in range(4)]
    years = [*enumerate(range(1955, 1959)), *[(2, 1990)] * 6]
    return [
        await Album.objects.create(
            title=f"Album {year}", artist=nina, label=labels[i], year=year
        )
        for i, year in years
    ]


@pytest.mark.parametrize(
    ("limit", "labels", "early", "late"),
    [(5, ["1", "1", "5+", "1"], "3", "5+"), (50, ["1", "1", "7", "1"], "3", "7")],
    ids=["many rows", "few rows"],
)
async def test_choices_are_counted_up_to_the_limit(
    albums: list[Album], limit: int, labels: list[str], early: str, late: str
) -> None:
    async with administering(site=faceted([Early, "label"], limit)) as http:
        page = await http.get(f"{LIST}?_facets=True")
        assert counts(page, "Label") == labels
        assert f"Early ({early})" in text(page)
        assert f"Late ({late})" in text(page)
        # With a filter that is chosen, the others count its rows.
        page = await http.get(f"{LIST}?_facets=True&early=yes")
        assert counts(page, "Label") == ["1", "1", "1", "0"]


async def test_choices_of_a_large_list_have_a_limit_of_their_own(
    albums: list[Album], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facets, "MAX_COUNTED", 2)
    async with administering(site=faceted(["label"], 5)) as http:
        page = await http.get(f"{LIST}?_facets=True")
    assert counts(page, "Label") == ["1", "1", "2+", "1"]


async def test_a_field_without_an_index_is_counted_among_the_latest_rows(
    albums: list[Album], monkeypatch: pytest.MonkeyPatch, queries: list[str]
) -> None:
    monkeypatch.setattr(facets, "MAX_READ", 8)
    async with administering(site=faceted(["year"], 5)) as http:
        queries.clear()
        page = await http.get(f"{LIST}?_facets=True")
    # The first two rows are not among the latest eight.
    assert counts(page, "19") == ["0+", "0+", "1+", "1+", "6+"]
    [counting] = [sql for sql in queries if "0__c" in sql]
    assert '"id" >= ' in counting
    # With fewer rows in the table, these are all.
    monkeypatch.setattr(facets, "MAX_READ", 10)
    async with administering(site=faceted(["year"], 5)) as http:
        page = await http.get(f"{LIST}?_facets=True")
    assert counts(page, "19") == ["1", "1", "1", "1", "6"]


async def test_few_queries_count_all_choices(
    albums: list[Album], queries: list[str]
) -> None:
    for album in albums[:3]:
        await album.genres.add(await Genre.objects.create(name="Jazz"))
    async with administering(site=faceted(["label", "genres", "year"], 5)) as http:
        queries.clear()
        page = await http.get(f"{LIST}?_facets=True")
    assert counts(page, "Label") == ["1", "1", "5+", "1"]
    assert counts(page, "Jazz") == ["1", "1", "1"]
    # The choices are found once, and those of one filter are counted together.
    assert len([sql for sql in queries if 'FROM "records_genre"' in sql]) == 1
    assert len([sql for sql in queries if "vinyl_1" in sql]) == 2


async def test_choices_without_any_row_have_none(albums: list[Album]) -> None:
    await Album.objects.update(released="1999-01-01")
    site = faceted([("released", DateFieldListFilter), "label"], 5)
    async with administering(site=site) as http:
        page = await http.get(f"{LIST}?_facets=True&label__id__exact=0")
        assert counts(page, "Today") == ["0"]
        # A year that no date has: an empty queryset, which has no SQL.
        hidden = await http.get(f"{LIST}?_facets=True&pk__in=")
    assert hidden.status_code in (200, 302)
