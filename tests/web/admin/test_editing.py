"""Saving that collides with a constraint of the database, or with a deletion."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, func-returns-value, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django import forms
from django.db import models

from tests.records.models import Album, Artist, Genre, Label
from tests.web.admin.administering import administering, superuser, text
from tests.web.admin.test_options import posted, values
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

ADD = "/admin/records/artist/add/"


async def test_of_two_adds_of_one_name_at_once_one_is_an_error_of_the_form() -> None:
    await superuser()
    async with administering() as http:
        for attempt in range(3):
            data = {"name": f"Nina {attempt}"}
            pages = await asyncio.gather(*(http.post(ADD, data=data) for _ in range(4)))
            statuses = sorted(page.status_code for page in pages)
            assert statuses == [200, 200, 200, 302]
            for page in pages:
                if page.status_code == 200:
                    assert "Artist with this Name already exists." in text(page)
                    assert values(page)["name"] == data["name"]
    assert await Artist.objects.count() == 3


class Unchecked(forms.ModelForm):  # type: ignore[type-arg]  # not generic at runtime
    """Leaves it to the database to find duplicates."""

    def validate_unique(self) -> None:
        pass

    def validate_constraints(self) -> None:
        pass


class ArtistAdmin(ModelAdmin):
    form = Unchecked
    list_display = ["id", "name"]
    list_editable = ["name"]

    def get_changelist_form(self, request: Any, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": Unchecked, **kwargs})


async def test_what_only_the_database_refuses_is_an_error_of_the_form() -> None:
    await superuser()
    for name in ("Nina", "Ella"):
        await Artist.objects.create(name=name)
    site = AdminSite()
    site.register(Artist, ArtistAdmin)
    async with administering(site=site) as http:
        page = await http.post(ADD, data={"name": "Nina"})
        assert "is violated" in text(page) or "refuses these values" in text(page)
        assert values(page)["name"] == "Nina"
        url = "/admin/records/artist/"
        data = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "_save": "1"}
        ella = await Artist.objects.get(name="Ella")
        data |= {"form-0-id": str(ella.pk), "form-0-name": "Nina"}
        page = await http.post(url, data=data)
        assert "is violated" in text(page) or "refuses these values" in text(page)
        assert values(page)["form-0-name"] == "Nina"
    assert {a.name async for a in Artist.objects.all()} == {"Nina", "Ella"}


async def test_an_object_that_is_deleted_before_it_is_referred_to(
    monkeypatch: Any,
) -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    label = await Label.objects.create(name="Philips")
    genre = await Genre.objects.create(name="Jazz")
    site = AdminSite()

    class AlbumAdmin(ModelAdmin):
        def save_model(self, request: Any, obj: Any, *args: Any) -> None:
            # Between the checks and the query.
            Label.objects.filter(pk=label.pk).delete()
            super().save_model(request, obj, *args)

    site.register(Album, AlbumAdmin)
    async with administering(site=site) as http:
        data = posted(artist, label=label.pk, genres=[genre.pk])
        page = await http.post("/admin/records/album/add/", data=data)
        assert "has been changed or deleted meanwhile" in text(page)
        assert values(page)["title"] == data["title"]
    assert await Album.objects.count() == 0


async def test_an_object_that_is_referred_to_before_it_is_deleted(
    monkeypatch: Any,
) -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    relation = Album._meta.get_field("artist").remote_field
    monkeypatch.setattr(relation, "on_delete", models.PROTECT)
    site = AdminSite()

    class ArtistAdmin(ModelAdmin):
        def delete_model(self, request: Any, obj: Any) -> None:
            Album.objects.create(title="Pastel Blues", artist=artist)
            super().delete_model(request, obj)

    site.register(Artist, ArtistAdmin)
    site.register(Album)
    url = f"/admin/records/artist/{artist.pk}/delete/"
    async with administering(site=site) as http:
        response = await http.post(url, data={"post": "yes"})
        assert response.headers["location"] == url
        assert "Other objects refer to this one" in text(await http.get(url))
    assert await Artist.objects.count() == 1
