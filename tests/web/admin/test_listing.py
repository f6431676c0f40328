"""The options of a ModelAdmin that concern its change list."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.core.paginator import Paginator
from django.test.html import parse_html
from django.utils import translation

from tests.records.models import Artist
from tests.web.admin.administering import administering, text
from tests.web.admin.test_counting import LIST, small, some_albums
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("db")
async def test_a_list_can_be_counted_wholly_or_its_total_not_at_all(
    queries: list[str],
) -> None:
    await some_albums(14)
    async with administering(site=small(count_limit=None)) as http:
        assert "14 albums" in text(await http.get(LIST))
        found = text(await http.get(f"{LIST}?q=13"))
        assert "1 album · 14 total" in found
    async with administering(site=small(show_full_result_count=False)) as http:
        queries.clear()
        page = await http.get(f"{LIST}?q=13")
        assert "total" not in text(page)
        assert 'name="action"' in page.text
        assert len([sql for sql in queries if "COUNT" in sql]) == 1
    async with administering(site=small()) as http:
        found = text(await http.get(f"{LIST}?q=13"))
        assert re.search(r"1 album · (7\+|~\d+) total", found)


@pytest.mark.usefixtures("db")
async def test_a_projects_own_paginator_counts_as_it_does() -> None:
    await some_albums(14)

    async with administering(site=small(paginator=Paginator)) as http:
        page = await http.get(f"{LIST}?p=5")
        assert "14 albums" in text(page)
        assert "Album 12" in text(page)


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_checkbox_of_a_row_is_djangos(language: str) -> None:
    site = AdminSite()
    artist = Artist(pk=1234, name='Nina "<Simone>"')
    with translation.override(language):
        ours, theirs = (
            cls(Artist, site).action_checkbox(artist)
            for cls in (ModelAdmin, admin.ModelAdmin)
        )
    assert parse_html(ours) == parse_html(theirs)
    assert "<Simone>" not in ours
