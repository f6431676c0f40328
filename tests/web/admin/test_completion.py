"""The results that a field for related objects completes, as JSON and as a page."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, func-returns-value, misc"

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.records.models import Album, Artist, Genre, Label
from tests.web.admin.administering import (
    TrackInline,
    administering,
    superuser,
    text,
    user,
)
from tests.web.admin.test_options import values
from vinyl.web.admin import AdminSite, ModelAdmin, TabularInline

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"
COMPLETE = "/admin/autocomplete/?app_label=records&model_name=album&field_name=artist"


class AlbumAdmin(ModelAdmin):
    fields = ["title", "year", "released", "notes", "artist", "label", "genres"]
    autocomplete_fields = ["artist", "label", "genres"]


def completing_site(**options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Album, AlbumAdmin, **options)
    site.register([Artist, Genre, Label], search_fields=["name"])
    return site


async def artists(number: int) -> None:
    await Artist.objects.bulk_create(
        Artist(name=f"Artist {i:03}") for i in range(number)
    )


async def test_pages_of_results_are_never_counted(queries: list[str]) -> None:
    await superuser()
    await artists(45)
    async with administering(site=completing_site()) as http:
        for number, count, more in ((1, 20, True), (2, 20, True), (3, 5, False)):
            queries.clear()
            found = (await http.get(f"{COMPLETE}&page={number}")).json()
            assert len(found["results"]) == count
            assert found["pagination"]["more"] is more
            assert not [sql for sql in queries if "COUNT(" in sql]
            [rows] = [sql for sql in queries if "records_artist" in sql]
            assert "LIMIT 21" in rows
        found = (await http.get(f"{COMPLETE}&term=artist+04")).json()
        assert [one["text"] for one in found["results"]] == [
            f"Artist {i:03}" for i in (4, *range(40, 45))
        ]
        for page in ("4", "0", "x"):
            assert (await http.get(f"{COMPLETE}&page={page}")).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (COMPLETE + "&term=%00", (200, 400)),
        (COMPLETE + "&page=" + "9" * 30, (400, 404)),
        (COMPLETE + "&page=last", (400,)),
        (COMPLETE + "&term=" + "x" * 201, (400,)),
        (COMPLETE.replace("=artist", "=title"), (403,)),
        (COMPLETE.replace("=artist", "=nothing"), (403,)),
        (COMPLETE.replace("=album", "=nothing"), (403,)),
        (COMPLETE.replace("model_name=album", "model_name=track"), (403,)),
    ],
)
async def test_odd_requests_are_refused(query: str, status: tuple[int, ...]) -> None:
    await superuser()
    async with administering(site=completing_site()) as http:
        assert (await http.get(query)).status_code in status


async def test_results_need_permission_to_view_the_objects() -> None:
    await artists(1)
    await user("bob", "change_album", "view_label")
    async with administering("bob", site=completing_site()) as http:
        assert (await http.get(COMPLETE)).status_code == 403
        label = COMPLETE.replace("=artist", "=label")
        assert (await http.get(label)).json()["results"] == []
        data = {"_lookup": COMPLETE.partition("?")[2], "title": "Typed"}
        album = await Album.objects.create(
            title="Pastel Blues", artist=await Artist.objects.get()
        )
        page = await http.post(f"{LIST}{album.pk}/change/", data=data)
        assert page.status_code == 403
    async with administering(None, site=completing_site()) as http:
        assert (await http.get(COMPLETE)).status_code == 302


async def test_the_search_page_returns_the_choice_and_keeps_what_was_typed() -> None:
    await superuser()
    await artists(45)
    jazz, soul = [await Genre.objects.create(name=name) for name in ("Jazz", "Soul")]
    chosen = await Artist.objects.get(name="Artist 042")
    async with administering(site=completing_site(inlines=[TrackInline])) as http:
        url = f"{LIST}add/"
        page = await http.get(url)
        assert "Artist 000" not in page.text
        ask = values_of_buttons(page.text)
        typed = {
            "title": "Typed <i>by</i> hand",
            "year": "",
            "genres": [str(jazz.pk)],
            "tracks-TOTAL_FORMS": "1",
            "tracks-INITIAL_FORMS": "0",
            "tracks-0-title": "Sinnerman",
            "tracks-0-position": "",
        }
        search = await http.post(url, data={**typed, "_lookup": ask["artist"]})
        shown = text(search)
        assert "Artist 000" in shown
        assert "Artist 020" not in shown
        kept = values(search)
        assert kept["title"] == typed["title"]
        assert kept["tracks-0-title"] == "Sinnerman"
        # Further pages, and a search.
        state = {**typed, "_lookup": ask["artist"], "_chosen_for": "artist"}
        assert "Artist 020" in text(await http.post(url, data={**state, "_page": "2"}))
        found = await http.post(url, data={**state, "_term": "042"})
        assert f'name="_chosen" value="{chosen.pk}"' in found.text
        assert "Artist 000" not in text(found)
        assert values(found)["_chosen_for"] == "artist"
        # Back to the form, which is not saved.
        back = await http.post(url, data={**state, "_chosen": str(chosen.pk)})
        assert "Nothing has been saved yet." in text(back)
        assert "This field is required." not in text(back)
        assert values(back)["title"] == typed["title"]
        assert values(back)["tracks-0-title"] == "Sinnerman"
        assert f'<option value="{chosen.pk}" selected>Artist 042' in back.text
        # One more of several.
        state |= {"_lookup": ask["genres"], "_chosen_for": "genres", "_several": "1"}
        back = await http.post(url, data={**state, "_chosen": str(soul.pk)})
        for genre in (jazz, soul):
            assert f'<option value="{genre.pk}" selected>' in back.text
        # Or without a choice.
        back = await http.post(url, data={**state, "_held": "1"})
        assert values(back)["title"] == typed["title"]
    assert await Album.objects.count() == 0


def values_of_buttons(page: str) -> dict[str, str]:
    """The searches that a form offers, by the name of the field."""
    asked = map(unescape, re.findall(r'name="_lookup" value="([^"]+)"', page))
    return {parse_qs(query)["name"][0]: query for query in asked}


async def test_a_row_of_an_inline_completes() -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    site = completing_site()

    class AlbumInline(TabularInline):
        model = Album
        fields = ["title", "label"]
        autocomplete_fields = ["label"]

    site.unregister(Artist)
    site.register(Artist, inlines=[AlbumInline], search_fields=["name"])
    url = f"/admin/records/artist/{artist.pk}/change/"
    label = await Label.objects.create(name="Philips")
    async with administering(site=site) as http:
        ask = values_of_buttons((await http.get(url)).text)
        data = {
            "name": "Nina",
            "albums-TOTAL_FORMS": "1",
            "albums-INITIAL_FORMS": "1",
            "albums-0-id": str(album.pk),
            "albums-0-artist": str(artist.pk),
            "albums-0-title": "Typed",
            "_lookup": ask["albums-0-label"],
            "_chosen_for": "albums-0-label",
            "_chosen": str(label.pk),
        }
        back = await http.post(url, data=data)
        assert f'<option value="{label.pk}" selected>Philips' in back.text
        assert values(back)["albums-0-title"] == "Typed"
    await album.refresh_from_db()
    assert album.title == "Pastel Blues"


async def test_the_rows_of_a_list_complete() -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    label = await Label.objects.create(name="Philips")
    options = {"list_display": ["title", "year", "label"]}
    site = completing_site(**options, list_editable=["year", "label"])
    async with administering(site=site) as http:
        ask = values_of_buttons((await http.get(LIST)).text)
        data = {
            "form-TOTAL_FORMS": "1",
            "form-INITIAL_FORMS": "1",
            "form-0-id": str(album.pk),
            "form-0-year": "1999",
            "_lookup": ask["form-0-label"],
        }
        assert "Philips" in text(await http.post(LIST, data=data))
        data |= {"_chosen_for": "form-0-label", "_chosen": str(label.pk)}
        back = await http.post(LIST, data=data)
        assert "Nothing has been saved yet." in text(back)
        assert values(back)["form-0-year"] == "1999"
        assert f'<option value="{label.pk}" selected>Philips' in back.text
    await album.refresh_from_db()
    assert (album.year, album.label_id) == (1965, None)
