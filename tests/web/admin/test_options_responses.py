"""What a project's overrides answer, and a list by dates behind a relation."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc, override"

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.http import HttpResponse, HttpResponseRedirect

from tests.records.models import Album, Artist, Track
from tests.web.admin.administering import administering, an_album, superuser, text
from tests.web.http.posting import Page
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/artist/"


class Answering(ModelAdmin):
    """Half of its methods are async."""

    def response_add(
        self, request: Any, obj: Any, post_url_continue: Any = None
    ) -> Any:
        return HttpResponse(f"Added {obj}")

    async def response_change(self, request: Any, obj: Any) -> Any:
        albums = await Album.objects.filter(artist=obj).count()
        return HttpResponseRedirect(f"/changed/{albums}/")

    def response_delete(self, request: Any, obj_display: str, obj_id: Any) -> Any:
        return HttpResponse(f"Deleted {obj_display}, {Artist.objects.count()} left")

    async def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        objects, counts, lacking, _ = await super().get_deleted_objects(objs, request)
        return ["Also the catalogue", *objects], counts, lacking, []

    async def delete_queryset(self, request: Any, queryset: Any) -> None:
        async for artist in queryset:
            artist.name = f"{artist.name} (deleted)"
            await artist.save()


async def test_a_project_answers_after_saving_and_deleting() -> None:
    await superuser()
    artist = (await an_album()).artist
    site = AdminSite()
    site.register(Artist, Answering)
    async with administering(site=site) as http:
        response = await http.post(f"{LIST}add/", data={"name": "Sun Ra"})
        assert response.text == "Added Sun Ra"
        one = f"{LIST}{artist.pk}"
        response = await http.post(f"{one}/change/", data={"name": "Nina"})
        assert response.headers["location"] == "/changed/1/"
        assert "Also the catalogue" in text(await http.get(f"{one}/delete/"))
        chosen = {"action": "delete_selected", "_selected_action": str(artist.pk)}
        shown = text(await http.post(LIST, data={**chosen, "index": "0"}))
        assert "Also the catalogue" in shown
        await http.post(LIST, data={**chosen, "post": "yes"})
        assert await Artist.objects.filter(name="Nina (deleted)").count() == 1
        response = await http.post(f"{one}/delete/", data={"post": "yes"})
        assert response.text == "Deleted Nina (deleted), 1 left"


async def test_a_hierarchy_of_dates_behind_a_relation() -> None:
    await superuser()
    for year, month in ((1958, 2), (1965, 3), (1965, 10)):
        album = await an_album(
            title=f"Album {year}-{month}", released=datetime.date(year, month, 1)
        )
        await Track.objects.create(album=album, title=f"Track {year}-{month}")
    site = AdminSite()
    site.register(Track, date_hierarchy="album__released", list_display=["title"])
    site.register(Artist, date_hierarchy="albums__released", list_display=["name"])
    url = "/admin/records/track/"
    async with administering(site=site) as http:
        links = Page((await http.get(url)).text).links
        years = {link for link in links if "album__released__year" in link}
        assert {re.sub(r"\D", "", link) for link in years} == {"1958", "1965"}
        [of_1965] = [link for link in years if "1965" in link]
        page = await http.get(f"{url}{of_1965}")
        assert "Track 1958-2" not in text(page)
        months = [x for x in Page(page.text).links if "released__month" in x]
        [march] = {link for link in months if "month=3" in link}
        shown = text(await http.get(f"{url}{march}"))
        assert "Track 1965-3" in shown
        assert "Track 1965-10" not in shown
        for wrong in ("year=x", "year=0", "year=99999", "year=1965&album__month=13"):
            response = await http.get(f"{url}?album__released__{wrong}")
            assert response.status_code in (200, 302, 400), wrong
        # Through many rows each artist is there once.
        page = await http.get("/admin/records/artist/?albums__released__year=1965")
        assert page.text.count(">Nina Simone</a>") == 1
