"""Filters that a visitor types: ranges of numbers and dates, and parts of texts."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.records.models import Track
from tests.web.admin.administering import administering, superuser, text
from tests.web.admin.test_changelist import LIST, some_albums, titles
from tests.web.admin.test_filters import site_with
from vinyl.web.admin import AdminSite, RangeFilter, TextFilter

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

FILTERS = [
    ("year", RangeFilter),
    ("released", RangeFilter),
    ("title", TextFilter),
    ("label__name", TextFilter),
]


async def test_ranges_and_parts_of_texts_filter_together() -> None:
    await some_albums(10)
    async with administering(site=site_with(FILTERS)) as http:

        async def found(query: str) -> list[str]:
            return [title[-2:] for title in titles(await http.get(f"{LIST}?{query}"))]

        assert await found("year__gte=1957&year__lte=1959") == ["02", "03", "04"]
        assert await found("year__gte=1963&year__lte=") == ["08", "09"]
        assert await found("year__gte=1957.5&year__lte=1959.5") == ["03", "04"]
        assert await found("released__gte=1963-01-01") == ["08", "09"]
        assert await found("released__lte=1955-01-01") == ["00"]
        assert await found("title__icontains=BUM+03") == ["03"]
        assert await found("label__name__icontains=phil&year__lte=1957") == ["01", "02"]
        assert len(await found("year__gte=&title__icontains=")) == 10


async def test_both_ends_are_for_the_same_related_row() -> None:
    [_, album] = await some_albums(2)
    for position in (1, 9):
        await Track.objects.create(title="-", album=album, position=position)
    async with administering(
        site=site_with([("tracks__position", RangeFilter)])
    ) as http:
        for ends, number in (((2, 8), 0), ((2, 9), 1), ((0, 99), 1)):
            query = "tracks__position__gte={}&tracks__position__lte={}".format(*ends)
            assert len(titles(await http.get(f"{LIST}?{query}"))) == number


async def test_fields_keep_what_was_typed_and_the_other_filters() -> None:
    await some_albums(3)
    async with administering(site=site_with(FILTERS)) as http:
        page = await http.get(f"{LIST}?year__gte=1956&title__icontains=a%22b")
        assert 'type="number" name="year__gte" value="1956"' in page.text
        assert 'type="hidden" name="year__gte" value="1956"' in page.text
        assert 'type="date" name="released__lte" value=""' in page.text
        assert 'value="a&#34;b"' in page.text
        assert '<a href="?title__icontains=a%22b">Clear</a>' in page.text
        # Nothing to count.
        assert "From" in text(await http.get(f"{LIST}?_facets=True"))


@pytest.mark.parametrize(
    "query",
    [
        "year__gte=x",
        "released__lte=soon",
        "released__gte=1-1",
        "year__lte=%00",
    ],
)
async def test_what_is_no_number_or_date_leads_to_the_whole_list(query: str) -> None:
    await some_albums(1)
    async with administering(site=site_with(FILTERS)) as http:
        response = await http.get(f"{LIST}?{query}")
        assert response.headers["location"] == f"{LIST}?e=1"


async def test_a_range_of_moments_includes_its_last_day() -> None:
    ada = await superuser()
    ada.date_joined = datetime.datetime(2026, 1, 31, 23, 59, tzinfo=datetime.UTC)
    await ada.save()
    site = AdminSite()
    options: dict[str, Any] = {"list_filter": [("date_joined", RangeFilter)]}
    site.register(User, **options)
    async with administering(site=site, TIME_ZONE="UTC") as http:
        for day, count in (("2026-01-30", "0 users"), ("2026-01-31", "1 user")):
            page = await http.get(f"/admin/auth/user/?date_joined__lte={day}")
            assert count in text(page)
