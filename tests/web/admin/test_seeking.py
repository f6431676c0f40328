"""Pages by key: the same rows in the same order as by OFFSET."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.db.models import Count, F
from django.db.models.functions import Lower

from tests.records.models import Album, Artist, Biography, Label
from tests.web.admin.administering import administering
from tests.web.admin.test_counting import LIST, small, some_albums
from vinyl.orm import run
from vinyl.web.admin.seeking import rows_after, rows_before

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def mixed_albums() -> None:
    """With equal values and NULL in every column that rows are sorted by."""
    artists = [await Artist.objects.create(name=name) for name in ("Sun Ra", "Nina")]
    labels = [await Label.objects.create(name=name) for name in ("Impulse", "Philips")]
    for i in range(13):
        await Album.objects.create(
            title=f"{'aBc'[i % 3]}",
            artist=artists[i % 2],
            label=[*labels, None][i % 3],
            year=1960 + i % 4,
        )


ORDERS: list[tuple[Any, ...]] = [
    ("pk",),
    ("-id",),
    ("title", "-pk"),
    ("-title", "year", "pk"),
    ("label_id", "pk"),
    ("-label", "-pk"),
    ("label__name", "-year", "pk"),
    (F("label_id").asc(nulls_first=True), "pk"),
    (F("label_id").desc(nulls_last=True), F("year"), "-pk"),
    ("artist__name", "-label__name", "id", "title"),
]


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_rows_after_and_before_each_row(order: tuple[Any, ...]) -> None:
    await mixed_albums()
    rows = Album.objects.order_by(*order)
    expected = [row.pk for row in await rows]

    def keys(found: Any) -> list[int]:
        return [row.pk for row in found]

    def check() -> None:
        for i, pk in enumerate(expected):
            assert keys(rows_after(rows, rows, str(pk))) == expected[i + 1 :]
            before = keys(rows_before(rows, rows, str(pk)))
            assert before[::-1] == expected[:i]

    await run(check)


@pytest.mark.parametrize(
    "rows",
    [
        Album.objects.order_by("title"),
        Album.objects.order_by("?", "pk"),
        Album.objects.order_by("artist", "pk"),
        Album.objects.order_by(Lower("title"), "pk"),
        Album.objects.order_by(Lower("title").asc(), "pk"),
        Album.objects.order_by("genres", "pk"),
        Album.objects.order_by("released__year", "pk"),
        Album.objects.annotate(n=Count("tracks")).order_by("n", "pk"),
        Album.objects.order_by("pk").union(Album.objects.all()),
        Album.objects.all(),
        Biography.objects.order_by("artist__albums__title", "pk"),
    ],
    ids=lambda rows: str(rows.query.order_by),
)
async def test_orders_without_a_key(rows: Any) -> None:
    await mixed_albums()
    some = rows.model.objects.order_by("pk")
    assert await run(rows_after, rows, some, "1") is None


async def test_a_row_that_is_not_there_and_a_wrong_key() -> None:
    rows = Album.objects.order_by("pk")
    assert await run(rows_after, rows, rows, "1") is None
    with pytest.raises(ValueError, match="expected a number"):
        await run(rows_before, rows, rows, "abc")


def link(page: Any, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]*)"', page.text)
    return LIST + unescape(found[1]) if found else ""


def years(page: Any) -> list[str]:
    return re.findall(r"Album (\d\d)</a>", page.text)


async def test_a_list_goes_to_its_end_and_back_by_key(queries: list[str]) -> None:
    await some_albums(14)
    async with administering(site=small()) as http:
        page, pages = await http.get(LIST), []
        while True:
            pages.append(years(page))
            if not (url := link(page, "next")):
                break
            queries.clear()
            page = await http.get(url)
            assert not [sql for sql in queries if "OFFSET" in sql]
        assert [len(one) for one in pages] == [3, 3, 3, 3, 2]
        assert sum(pages, []) == [f"{i:02}" for i in range(14)]
        for expected in pages[-2::-1]:
            page = await http.get(link(page, "prev"))
            assert years(page) == expected
        assert not link(page, "prev")


async def test_a_link_to_a_row_that_is_gone_or_moved_counts_pages() -> None:
    await some_albums(14)
    async with administering(site=small()) as http:
        page = await http.get(LIST)
        url = link(page, "next")
        await Album.objects.filter(title="Album 02").delete()
        page = await http.get(url)
        # The second page of those that are left.
        assert years(page) == ["04", "05", "06"]
        # Two rows before it are too few for a page.
        back = await http.get(link(await http.get(f"{LIST}?p=3"), "prev"))
        assert years(back) == ["04", "05", "06"]
        album = await Album.objects.get(title="Album 01")
        short = await http.get(f"{LIST}?p=2&_before={album.pk}")
        assert years(short) == ["04", "05", "06"]


async def test_a_row_that_the_visitor_may_not_see_is_no_place_to_begin() -> None:
    await some_albums(14)

    def get_queryset(self: Any, request: Any) -> Any:
        return Album.objects.exclude(title="Album 05")

    hidden = await Album.objects.get(title="Album 05")
    async with administering(site=small(get_queryset=get_queryset)) as http:
        page = await http.get(f"{LIST}?p=2&_after={hidden.pk}")
        assert years(page) == ["03", "04", "06"]
        # Links to filters and orders begin at the first page.
        assert len(re.findall(r'href="\?[^"]*_after', page.text)) == 1
