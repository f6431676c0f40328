"""The search over all models: what it finds, for whom, and with how many queries."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Album, Artist, Label, Track
from tests.web.admin.administering import (
    AlbumAdmin,
    ArtistAdmin,
    administering,
    an_album,
    superuser,
    text,
    user,
)
from vinyl.web.admin import AdminSite, ModelAdmin
from vinyl.web.admin.search import MAX_RESULTS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

URL = "/admin/search/"


class TrackAdmin(ModelAdmin):
    search_fields = ["title"]
    in_site_search = False


class LabelAdmin(ModelAdmin):
    # A label for each of its albums that matches, and a number.
    search_fields = ["albums__title", "=id"]


site = AdminSite()
site.register(Album, AlbumAdmin)
site.register(Artist, ArtistAdmin)
site.register(Track, TrackAdmin)
site.register(Label, LabelAdmin)


async def test_it_finds_the_objects_of_all_models_by_their_search_fields() -> None:
    await superuser()
    label = await Label.objects.create(name="Philips")
    album = await an_album(label=label)
    await an_album(title="Pastel Greens", label=label)
    await Track.objects.create(album=album, title="Pastel", position=1)
    async with administering(site=site) as http:
        page = await http.get(URL, params={"q": "pastel"})
        assert "Pastel Blues by Nina Simone Pastel Greens" in text(page)
        assert "Labels Philips" in text(page)
        assert page.text.count("Philips") == 1
        assert "Tracks Pastel" not in text(page)
        assert f'href="/admin/records/album/{album.pk}/change/"' in page.text
        assert "Artists Nina Simone" in text(await http.get(f"{URL}?q=nina"))
        assert "None available" in text(await http.get(f"{URL}?q=nobody"))
        assert "None available" not in text(await http.get(URL))
        # It is on every page.
        assert f'action="{URL}"' in (await http.get("/admin/")).text


async def test_it_shows_a_few_and_leads_to_all() -> None:
    await superuser()
    artist = await Artist.objects.create(name="Sun Ra")
    for i in range(MAX_RESULTS + 1):
        await Album.objects.create(title=f"Space & Time {i}", artist=artist)
    async with administering(site=site) as http:
        page = (await http.get(URL, params={"q": "e & t"})).text
        assert page.count("Space &amp; Time") == MAX_RESULTS
        assert "/admin/records/album/?q=e+%26+t" in page


async def test_one_query_for_each_model_that_the_visitor_may_see(
    queries: list[str],
) -> None:
    await an_album()
    await user("ada", "view_album", "view_label")
    async with administering(site=site) as http:
        await http.get(URL)
        queries.clear()
        await http.get(URL)
        without = len(queries)
        queries.clear()
        page = text(await http.get(URL, params={"q": "a"}))
        assert "Pastel Blues" in page
        assert "Artists" not in page
        assert len(queries) == without + 2
        assert not [q for q in queries if "COUNT(" in q]


@pytest.mark.parametrize("words", ["a\0b", "99999999999999999999", "%", "'", '"', "\\"])
async def test_words_that_no_column_has_are_not_found(words: str) -> None:
    await superuser()
    async with administering(site=site, ATOMIC_REQUESTS=True) as http:
        page = text(await http.get(URL, params={"q": words}))
        assert ("Null characters" in page) == ("\0" in words)


async def test_words_have_a_limit() -> None:
    await superuser()
    async with administering(site=site) as http:
        page = text(await http.get(URL, params={"q": "nina " * 100}))
        assert "at most 200 characters" in page


async def test_a_site_may_be_without() -> None:
    class Site(AdminSite):
        enable_search = False

    await superuser()
    async with administering(site=Site()) as http:
        assert (await http.get(URL)).status_code == 404
        assert URL not in (await http.get("/admin/")).text


async def test_staff_without_rights_finds_nothing_and_strangers_must_log_in() -> None:
    await an_album()
    await user()
    async with administering(site=site) as http:
        assert "None available" in text(await http.get(f"{URL}?q=blues"))
        await http.post("/admin/logout/")
        response: Any = await http.get(f"{URL}?q=blues")
        assert response.headers["location"].startswith("/admin/login/")
