"""Columns of a change list that the visitor hides, in its table and its exports."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from tests.records.models import Album
from tests.web.admin.administering import AlbumAdmin, administering, an_album, superuser
from vinyl.web.admin import AdminSite, display
from vinyl.web.admin.columns import hideable, shown

LIST = "/admin/records/album/"
LABEL = "records.album"
ALL = ["year", "title", "artist", "stars", "lambda"]

asked: list[str] = []


@display(description="Stars", ordering="-year")
def stars(album: Any) -> str:
    asked.append(album.title)
    return "*" * 5


class Arranged(AlbumAdmin):
    list_display = ["year", "title", "artist", stars, lambda album: "nameless"]
    list_display_links = ["title"]
    list_editable = ["year"]
    ordering = ["title"]


def site_with(**options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Album, type("Own", (Arranged,), options))
    return site


def headers(page: Any) -> list[str]:
    return re.findall(r'<th scope="col" class="[^"]*?column-([a-z_]+)', page.text)


async def show(http: Any, *names: str, of: Any = ("artist", "stars")) -> None:
    data = {"columns": LABEL, "of": [*of], "show": [*names], "next": LIST}
    response = await http.post("/admin/preferences/", data=data)
    assert response.headers["location"] == LIST


class TestHideable:
    def test_links_fields_and_functions_without_a_name_stay(self) -> None:
        display = ["action_checkbox", *Arranged.list_display]
        may_hide = hideable(display, ["title"], ["year"])
        assert may_hide == {"artist": "artist", "stars": stars}
        assert shown(display, ["artist", "title", "year", "x"], may_hide) == [
            column for column in display if column != "artist"
        ]

    @pytest.mark.parametrize("links", [None, []])
    def test_a_list_without_links_keeps_its_first_column(self, links: Any) -> None:
        assert [*hideable(["action_checkbox", "a", "b"], links, [])] == ["b"]


@pytest.mark.anyio
@pytest.mark.usefixtures("db")
class TestAList:
    async def test_shows_what_the_visitor_chose(self) -> None:
        await an_album(title="Pastel Blues", year=1965)
        await superuser()
        async with administering(site=site_with()) as http:
            page = await http.get(LIST)
            assert headers(page) == ALL
            assert page.text.count('name="of"') == 2
            assert "nameless" in page.text
            await show(http, "stars")
            page = await http.get(LIST)
            assert headers(page) == ["year", "title", "stars", "lambda"]
            assert 'class="field-artist' not in page.text
            # The way to the object and the field are there.
            assert "change/" in page.text
            assert 'name="form-0-year"' in page.text
            assert re.findall(r'name="show" value="(\w+)"( checked)?', page.text) == [
                ("artist", ""),
                ("stars", " checked"),
            ]
            # The order counts all columns.
            assert "?o=4" in page.text
            assert headers(await http.get(f"{LIST}?o=4")) == headers(page)
            await show(http, "artist", "stars")
            assert headers(await http.get(LIST)) == ALL

    async def test_computes_no_value_of_a_hidden_column(self) -> None:
        await an_album()
        await superuser()
        async with administering(site=site_with()) as http:
            asked.clear()
            await http.get(LIST)
            assert asked
            await show(http, "artist")
            asked.clear()
            await http.get(LIST)
            assert not asked

    async def test_can_be_saved_with_hidden_columns(self) -> None:
        album = await an_album(title="Pastel Blues", year=1965)
        await superuser()
        async with administering(site=site_with()) as http:
            await show(http)
            page = (await http.get(LIST)).text
            fields = dict(re.findall(r'name="(form-[\w-]+)" value="(\d*)"', page))
            fields |= {"form-0-year": "1966", "_save": "1"}
            response = await http.post(LIST, data=fields)
            assert response.status_code == 302
        await album.refresh_from_db()
        assert (album.year, album.title) == (1966, "Pastel Blues")

    async def test_never_loses_a_link_or_a_field(self) -> None:
        await an_album()
        await superuser()
        async with administering(site=site_with()) as http:
            # Not what the page offers.
            await show(http, of=["title", "year", "action_checkbox", "artist"])
            page = await http.get(LIST)
            assert headers(page) == ["year", "title", "stars", "lambda"]
            assert "action-select" in page.text

    async def test_of_one_model_leaves_others_alone(self) -> None:
        await an_album()
        await superuser()
        async with administering(site=site_with()) as http:
            data = {"columns": "records.artist", "of": ["artist"]}
            await http.post("/admin/preferences/", data=data)
            assert "artist" in headers(await http.get(LIST))

    async def test_without_columns_to_hide_has_no_menu(self) -> None:
        await superuser()
        async with administering(site=site_with(list_display=["title", "year"])) as h:
            assert 'name="of"' not in (await h.get(LIST)).text

    async def test_exports_the_columns_that_it_shows(self) -> None:
        await an_album(title="Pastel Blues", year=1965)
        await superuser()
        columns = ["year", "title", "artist", stars]
        own = ["title", "artist"]
        for options, expected in (
            ({"list_display": columns}, ["id", "year", "title", "stars"]),
            ({"list_display": columns, "export_fields": own}, own),
        ):
            async with administering(site=site_with(**options)) as http:
                await show(http, "stars")
                file = (await http.get(f"{LIST}export/csv/")).content
            [header, row] = csv.reader(io.StringIO(file.decode("utf-8-sig")))
            assert header == expected
            assert "Pastel Blues" in row
