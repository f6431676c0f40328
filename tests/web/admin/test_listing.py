"""The options of a ModelAdmin that concern its change list."""

from __future__ import annotations

import re

import pytest
from django.core.paginator import Paginator

from tests.web.admin.administering import administering, text
from tests.web.admin.test_counting import LIST, small, some_albums

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
