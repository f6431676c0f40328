"""The examples of forms.md and generic-views.md work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.cache import cache

from tests.docs.pages import Example, blocks
from tests.records import models
from tests.web.serving import serving, templates

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_the_page_about_forms(example: Example) -> None:
    names = example("topics/forms.md")
    assert (Path(names["DIRS"][1]) / "django/forms/div.html").is_file()
    artist = await models.Artist.objects.create(name="Nina Simone")
    genre = await models.Genre.objects.create(name="jazz")
    album = await models.Album.objects.create(title="Pastel", artist=artist)
    files = {
        "records/edit.html": blocks("topics/forms.md", "html"),
        "records/tracks.html": "{{ formset }}",
    }
    data = {"year": "1965", "artist": artist.pk, "genres": genre.pk}
    async with serving(*names["urlpatterns"], **templates(files=files)) as page:
        for url in ("edit", "edit-plainly"):
            url = f"/albums/{album.pk}/{url}/"
            shown = (await page.get(url)).text
            assert f'<option value="{artist.pk}" selected>Nina Simone' in shown
            refused = (await page.post(url, data=data)).text
            assert "This field is required." in refused
            saved = await page.post(url, data={**data, "title": f" {url} "})
            assert saved.status_code == 302
            assert (await models.Album.objects.get()).title == url
        tracks = {
            "tracks-TOTAL_FORMS": "1",
            "tracks-INITIAL_FORMS": "0",
            "tracks-0-title": "Sinnerman",
            "tracks-0-position": "1",
        }
        saved = await page.post(f"/albums/{album.pk}/tracks/", data=tracks)
        assert saved.status_code == 302
    assert (await album.tracks.get()).title == "Sinnerman"


async def test_the_page_about_views(example: Example) -> None:
    names = example("topics/generic-views.md")
    artist = await models.Artist.objects.create(name="Nina Simone")
    files = {
        "records/album_list.html": "{{ page_obj.object_list|map('string')|join(';') }}",
        "records/album_form.html": "{{ form }}",
        "records/artist_detail.html": "{{ object.name }}: {{ count }}",
    }
    async with serving(*names["urlpatterns"], **templates(files=files)) as page:
        for title in ("Pastel Blues", "Emergency Ward", "Baltimore"):
            data = {"title": title, "artist": artist.pk}
            created = await page.post("/create/", data=data)
            assert created.headers["location"] == "/"
        assert "Pastel Blues by Nina Simone" in (await page.get("/")).text
        assert (await page.get(f"/artists/{artist.pk}/")).text == "Nina Simone: 3"
        assert (await page.get("/count/")).json() == {"albums": 3}
        assert "no-store" in (await page.get("/fresh/")).headers["cache-control"]
        second = (await page.get("/pages/?page=2")).json()
        assert second == {"titles": ["Pastel Blues"], "pages": 2}
        try:
            before = (await page.get("/front/")).json()
            assert (await page.get("/clear/")).status_code == 405
            assert (await page.post("/clear/")).json() == {"deleted": 3}
            assert (await page.get("/front/")).json() == before
        finally:
            cache.clear()
