"""Django's paginator: awaited on the event loop, plain elsewhere."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import django
import pytest

from tests.records.models import Label
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run
from vinyl.web.pagination import EmptyPage, PageNotAnInteger, Paginator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def labels(db: Any) -> Any:
    await Label.objects.bulk_create([Label(name=str(n)) for n in range(5)])
    return Label.objects.order_by("name")


async def test_a_page_on_the_event_loop(labels: Any, queries: list[str]) -> None:
    paginator = Paginator(labels, 2)
    with pytest.raises(NotAwaitedError, match="await paginator.get_page"):
        paginator.num_pages  # noqa: B018
    page = await paginator.get_page("2")
    assert [label.name for label in page] == ["2", "3"]
    assert (len(page), page[0].name) == (2, "2")
    assert (page.has_next(), page.next_page_number(), page.end_index()) == (True, 3, 4)
    assert list(paginator.get_elided_page_range(2)) == [1, 2, 3]
    assert paginator.count == 5
    assert len(queries) == 2
    assert (await paginator.get_page("x")).number == 1
    assert (await paginator.get_page(99)).number == 3
    with pytest.raises(EmptyPage):
        await paginator.page(4)
    with pytest.raises(PageNotAnInteger):
        await paginator.page("x")
    with pytest.raises(NotAwaitedError, match=r"'Paginator\.get_page'"):
        list(paginator.get_page(1))


async def test_a_page_of_what_is_there(labels: Any, queries: list[str]) -> None:
    assert (await Paginator([1, 2, 3], 2).get_page(2)).object_list == [3]
    assert Paginator([1, 2, 3], 2).num_pages == 2
    await labels
    assert Paginator(labels, 2).num_pages == 3
    assert len(queries) == 1


async def test_a_page_in_the_bridge(labels: Any) -> None:
    def names() -> list[str]:
        return [label.name for label in Paginator(labels, 2).page(3)]

    assert await run(names) == ["4"]


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django 6 has it")
async def test_djangos_async_paginator(labels: Any) -> None:
    from django.core.paginator import AsyncPaginator

    page = await AsyncPaginator(labels, 2).aget_page(2)
    assert [label.name async for label in page] == ["2", "3"]
    assert await page.ahas_next()
