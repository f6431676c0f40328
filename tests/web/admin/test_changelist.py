"""Change lists: searched, filtered, sorted, page by page, and never with a 500."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="assignment, attr-defined, misc"

from __future__ import annotations

import datetime
import re
import threading
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests.records.models import Album, Artist, Label, Track
from tests.web.admin.administering import AlbumAdmin, administering, superuser, text
from vinyl.orm import in_bridge
from vinyl.web.admin import AdminSite, ModelAdmin, SimpleListFilter, display

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"


async def some_albums(count: int = 25) -> list[Album]:
    await superuser()
    nina = await Artist.objects.create(name="Nina Simone")
    sun = await Artist.objects.create(name="Sun Ra")
    philips = await Label.objects.create(name="Philips")
    return [
        await Album.objects.create(
            title=f"Album {i:02}",
            artist=sun if i % 2 else nina,
            label=philips if i % 3 else None,
            year=1955 + i,
            released=datetime.date(1955 + i, 1 + i % 12, 1),
        )
        for i in range(count)
    ]


def titles(response: Any) -> list[str]:
    """The titles in the order of the rows."""
    assert response.status_code == 200, response.text[:500]
    table = response.text.partition("<tbody>")[2]
    return re.findall(r"Album \d\d", re.sub(r'aria-label="[^"]*"', "", table))


async def test_a_list_has_pages() -> None:
    await some_albums()
    async with administering() as http:
        first = await http.get(LIST)
        assert titles(first) == [f"Album {i:02}" for i in range(10)]
        assert "25 albums" in text(first)
        assert titles(await http.get(f"{LIST}?p=3")) == [
            f"Album {i:02}" for i in range(20, 25)
        ]
        assert len(titles(await http.get(f"{LIST}?all="))) == 25


async def test_a_search_takes_many_words_over_several_fields() -> None:
    await some_albums()
    async with administering() as http:
        found = await http.get(f"{LIST}?q=nina+02")
        assert titles(found) == ["Album 02"]
        assert "1 album · 25 total" in text(found)
        # What a page keeps: the search, in a link to a filter and back in its field.
        assert "q=nina+02" in found.text
        assert 'value="nina 02"' in found.text
        assert titles(await http.get(f"{LIST}?q=nobody")) == []
        long = await http.get(f"{LIST}?q={'nina ' * 200}")
        assert "at most 200 characters" in text(long)


async def test_filters_by_values_dates_and_relations() -> None:
    albums = await some_albums()
    label = albums[1].label_id
    async with administering() as http:
        assert titles(await http.get(f"{LIST}?year=1957")) == ["Album 02"]
        by_label = await http.get(f"{LIST}?label__id__exact={label}&p=2")
        assert len(titles(by_label)) == 6
        assert "16 albums" in text(by_label)
        without = await http.get(f"{LIST}?label__isnull=True")
        assert len(titles(without)) == 9
        assert "Clear all filters" in text(without)
        assert titles(await http.get(f"{LIST}?released__year=1960")) == ["Album 05"]
        today = datetime.date.today()
        assert titles(await http.get(f"{LIST}?released__gte={today}")) == []
        counted = text(await http.get(f"{LIST}?_facets=True"))
        assert "Philips (16)" in counted


async def test_columns_sort_in_both_directions() -> None:
    await some_albums(6)
    async with administering() as http:
        assert titles(await http.get(f"{LIST}?o=-4"))[0] == "Album 05"
        # Of the artist first, then of the year downwards.
        both = await http.get(f"{LIST}?o=2.-4")
        assert titles(both) == [f"Album {i:02}" for i in (4, 2, 0, 5, 3, 1)]
        assert 'aria-sort="descending"' in both.text


async def test_methods_and_relations_are_columns() -> None:
    [album] = await some_albums(1)
    async with administering() as http:
        page = await http.get(LIST)
    assert "Old?" in text(page)
    assert 'alt="True"' in page.text
    row = text(page).partition("Artist name")[2]
    # The artist, no label, the year, the artist's name.
    assert "Album 00 Nina Simone - 1955" in row
    assert f"{LIST}{album.pk}/change/" in page.text


async def test_as_many_queries_for_many_rows_as_for_one(queries: list[str]) -> None:
    await some_albums(3)
    counts = []
    async with administering() as http:
        for query in ("year=1955", "year__gt=1900"):
            queries.clear()
            response = await http.get(f"{LIST}?{query}")
            counts.append(len(queries))
            assert titles(response)
        assert counts[0] == counts[1]
        queries.clear()
        await http.get(LIST)
        [rows] = [sql for sql in queries if sql.count("JOIN") == 2]
        assert '"records_label"' in rows
        # Session and user; for the filters the size of the table, the years and the
        # labels; for the dates their range and the years; how many rows; the rows.
        assert len(queries) == 9, queries


async def test_pages_are_made_in_the_bridge_in_the_thread_of_the_loop() -> None:
    await some_albums(1)
    here = threading.get_ident()

    def where(album: Album) -> str:
        # The genres are fetched here, on the event loop.
        same = threading.get_ident() == here
        return f"bridge {in_bridge()} same {same} genres {album.genres.count()}"

    site = AdminSite()
    site.register(Album, list_display=["title", where])
    async with administering(site=site) as http:
        page = text(await http.get(LIST))
    assert "bridge True same True genres 0" in page


class Words(SimpleListFilter):
    title = "words"
    parameter_name = "words"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        count = Album.objects.count()
        return [("many", f"Many of {count}"), ("few", "Few")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "many":
            return queryset.filter(title__contains=" ")
        return queryset


class TrackAdmin(ModelAdmin):
    list_display = ["title", "album__label__name", "of_artist"]
    list_filter = [Words]
    search_fields = ["=id", "title"]

    @display(description="Artist")
    def of_artist(self, track: Any) -> Any:
        return track.album.artist


async def test_filters_and_columns_of_ones_own_may_use_the_database(
    queries: list[str],
) -> None:
    albums = await some_albums(3)
    for album in albums:
        await Track.objects.create(title=f"Of {album.title}", album=album)
    site = AdminSite()
    site.register(Track, TrackAdmin, list_select_related=["album__label"])
    async with administering(site=site) as http:
        page = text(await http.get("/admin/records/track/?words=many"))
        assert "Many of 3" in page
        assert "Nina Simone" in page
        assert "Philips" in page


async def test_the_column_of_a_key_is_not_joined(queries: list[str]) -> None:
    class Keys(AlbumAdmin):
        list_display = ("title", "artist_id")

    site = AdminSite()
    site.register(Album, Keys)
    artist = await Artist.objects.create(name="Nina Simone")
    await Album.objects.create(title="Pastel Blues", artist=artist)
    await superuser()
    async with administering(site=site) as http:
        queries.clear()
        page = text(await http.get("/admin/records/album/"))
    assert f"Pastel Blues {artist.pk}" in page
    assert not [sql for sql in queries if 'JOIN "records_artist"' in sql]


async def test_columns_behind_relations_are_joined(queries: list[str]) -> None:
    albums = await some_albums(3)
    for album in albums:
        await Track.objects.create(title="Track", album=album)
    site = AdminSite()
    site.register(Track, list_display=["title", "album__label__name", "album__artist"])
    async with administering(site=site) as http:
        queries.clear()
        page = text(await http.get("/admin/records/track/"))
    assert "Sun Ra" in page
    # Session, user, one count, rows.
    assert len(queries) == 4, queries


async def test_a_bulk_action_asks_and_then_deletes() -> None:
    albums = await some_albums(4)
    chosen = [albums[0].pk, albums[2].pk]
    data = {"action": "delete_selected", "index": "0", "_selected_action": chosen}
    async with administering() as http:
        asked = await http.post(LIST, data=data)
        assert "Album: Album 00 by" in text(asked)
        assert await Album.objects.count() == 4
        del data["index"]
        done = await http.post(LIST, data={**data, "post": "yes"})
        assert done.headers["location"] == LIST
        assert "Successfully deleted 2 albums" in text(await http.get(LIST))
    assert await Album.objects.count() == 2
    assert await LogEntry.objects.filter(action_flag=3).count() == 2


async def test_cells_can_be_edited_in_the_list() -> None:
    albums = await some_albums(2)
    site = AdminSite()
    site.register(Album, list_display=["title", "year"], list_editable=["year"])
    async with administering(site=site) as http:
        assert 'name="form-0-year"' in (await http.get(LIST)).text
        data = {"form-TOTAL_FORMS": "2", "form-INITIAL_FORMS": "2", "_save": "1"}
        for i, album in enumerate(albums):
            data |= {f"form-{i}-id": str(album.pk), f"form-{i}-year": f"190{i}"}
        assert (await http.post(LIST, data=data)).status_code == 302
        assert "2 albums were changed" in text(await http.get(LIST))
        data["form-0-year"] = "soon"
        assert "Enter a whole number" in text(await http.post(LIST, data=data))
        for broken in (
            {"_save": "1"},
            {**data, "form-0-id": "abc"},
            {**data, "form-0-id": "9" * 30},
        ):
            response = await http.post(LIST, data=broken)
            assert response.status_code in (200, 302, 400)
    assert {a.year async for a in Album.objects.all()} == {1900, 1901}


BAD_QUERIES = [
    "p=x",
    "p=0",
    "p=-1",
    "p=99999999999999999999999",
    f"p={'9' * 5000}",
    "o=9.9",
    "o=-99",
    "o=x.y.--1",
    "o=%00",
    "q=%00",
    "q=%22unclosed",
    "q=%ED%A0%80",
    "nothing=1",
    "nothing__like__it=1",
    "year=x",
    "year=99999999999999999999999",
    "year__gt=99999999999999999999999",
    "label__id__exact=x",
    "label__id__exact=99999999999999999999999",
    "label__isnull=maybe",
    "released__year=99999",
    "released__year=x",
    "released__year=2000&released__month=13",
    "released__year=2000&released__month=2&released__day=31",
    "released__gte=never",
    "released__year=9999",
    "released__year=9999&released__month=12&released__day=31",
    "year__range=1",
    "title=%00",
    "title__regex=%5B",
    "artist__name__startswith=x",
    "e=1",
    "all=x",
    "_popup=1",
    "_facets=x",
    "_to_field=nothing",
    "_to_field=id",
    "p=2&_after=x",
    "p=2&_after=%00",
    "p=2&_before=99999999999999999999999",
    "p=2&_before=0",
    "p=9223372036854775807",
    "p=3&_after=0",
]


@pytest.mark.parametrize("query", BAD_QUERIES, ids=lambda q: q[:40])
async def test_no_query_string_breaks_a_list(query: str) -> None:
    await some_albums(12)
    async with administering() as http:
        response = await http.get(f"{LIST}?{query}")
        # To the whole list, or refused (400): a lookup into other tables, or a NUL.
        assert response.status_code in (200, 302, 400)
        if response.status_code == 302:
            assert response.headers["location"] == f"{LIST}?e=1"
            assert len(titles(await http.get(f"{LIST}?e=1"))) == 10
        if response.status_code == 400:
            assert any(part in query for part in ("nothing", "artist", "%00"))


@pytest.mark.parametrize(
    "data",
    [
        {"action": "delete_selected", "index": "0", "_selected_action": "abc"},
        {"action": "delete_selected", "index": "0", "_selected_action": "9" * 30},
        {"action": "delete_selected", "index": "x"},
        {"action": "nothing", "index": "0", "_selected_action": "1"},
        {"index": "0", "_selected_action": "1"},
        {"action": "delete_selected", "_selected_action": "\x00"},
        {"_save": "1"},
        {},
    ],
)
async def test_no_post_breaks_a_list(data: dict[str, str]) -> None:
    await some_albums(2)
    async with administering() as http:
        response = await http.post(LIST, data=data)
        assert response.status_code in (200, 302, 400), response.text
    assert await Album.objects.count() == 2


async def test_a_list_of_a_model_without_rows() -> None:
    await superuser()
    site = AdminSite()
    site.register(Album, AlbumAdmin)
    async with administering(site=site) as http:
        assert "None available" in text(await http.get(LIST))
