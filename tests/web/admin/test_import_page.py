"""The page of an import: upload, choice of columns, preview, and saving."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Album
from tests.web.admin.administering import administering, superuser, text
from tests.web.admin.test_importing import URL, fields, site_with, some_albums, upload
from vinyl.web.admin import import_page

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_other_data_than_that_of_the_preview_is_not_saved() -> None:
    await superuser()
    [album, _] = await some_albums()
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload(f"id,year\n{album.pk},1960\n"))
        await Album.objects.update(year=1999)
        done = await http.post(URL, data={**fields(page), "save": "1"})
        assert "the data has changed since the preview" in text(done)
        for broken in ({"digest": ""}, {"column-1": "label"}, {"source": "x"}):
            await http.post(URL, data={**fields(page), "save": "1", **broken})
    assert {a.year async for a in Album.objects.all()} == {1999}


async def test_columns_are_chosen_by_the_visitor() -> None:
    await superuser()
    [album, _] = await some_albums()
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload(f"id,Jahr,Name\n{album.pk},1960,x\n"))
        assert "Choose a field for at least one column." in text(page)
        data = {**fields(page), "preview": "1"}
        twice = await http.post(
            URL, data={**data, "column-1": "year", "column-2": "year"}
        )
        assert "Two columns are for the field “year”." in text(twice)
        # Not every field of the model.
        wrong = await http.post(URL, data={**data, "column-1": "artist"})
        assert "Choose a field" in text(wrong)
        page = await http.post(URL, data={**data, "column-1": "year"})
        assert "1 to change" in text(page)
        await http.post(URL, data={**fields(page), "save": "1"})
    await album.refresh_from_db()
    assert album.year == 1960


async def test_files_that_are_no_table() -> None:
    await superuser()
    site = site_with(import_max_size=100, import_max_rows=2)
    async with administering(site=site) as http:
        assert "Choose a file." in text(await http.post(URL))
        assert "more than 100 bytes" in text(await http.post(URL, **upload("x" * 101)))
        assert "more than 2 rows" in text(
            await http.post(URL, **upload("a\n1\n2\n3\n"))
        )
        assert "not encoded in UTF-8" in text(
            await http.post(URL, files={"file": ("<x>", b"t\n\xff\n", "text/csv")})
        )
        chosen: Any = {"file": ("x", "Löwe,title\n1,2\n".encode("cp1252"), "text/csv")}
        page = await http.post(URL, files=chosen, data={"encoding": "cp1252"})
        assert "<label>Löwe" in page.text


async def test_the_preview_of_many_rows_shows_its_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await superuser()
    [album, _] = await some_albums()
    monkeypatch.setattr(import_page, "LONG", 150)
    table = "id,title,artist__name\n" + "".join(
        f",x{i},Nina Simone\n" for i in range(199)
    )
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload(f"{table}{album.pk},y,Nina Simone\n"))
        assert page.text.index("100 of 200") < page.text.index("199 to add, 1 to chang")
        assert "100 more rows" in text(page)
        done = await http.post(URL, data={**fields(page), "save": "1"})
        assert "199 added, 1 changed, 0 unchanged." in text(done)
        # Errors are shown, and nothing can be saved.
        page = await http.post(URL, **upload(f"{table}x,y,Nobody\n"))
        assert "200 of 200" in page.text
        assert "201 id “x” value must be an integer." in text(page)
        assert 'name="save"' not in page.text
    assert await Album.objects.count() == 201
