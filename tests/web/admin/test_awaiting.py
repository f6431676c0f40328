"""What a project overrides in the admin may be async: permissions, columns, actions."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, list-item, misc, override"
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as djangos

from tests.records.models import Album, Label, Track
from tests.web.admin.administering import (
    administering,
    an_album,
    superuser,
    text,
)
from vinyl.web import admin
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class Closed:
    """Nothing is allowed, by code that is async."""

    async def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    async def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    async def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    async def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    async def has_module_permission(self, request: Any) -> bool:
        return False


class ClosedLabels(Closed, djangos.ModelAdmin):
    pass


class ClosedTracks(Closed, djangos.TabularInline):
    model = Track


async def genres(album: Album) -> str:
    return f"{await album.genres.count()} genres"


class Noted(djangos.SimpleListFilter):
    title = parameter_name = "noted"

    async def lookups(self, request: Any, model_admin: Any) -> Any:
        return [
            (notes, notes)
            async for notes in Album.objects.values_list("notes", flat=True)
        ]

    async def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(notes=self.value()) if self.value() else queryset


class AsyncAlbums(ModelAdmin):
    """What a project may override, all of it async."""

    list_display = ["title", "tracks", genres]
    list_filter = [Noted]
    readonly_fields = [genres]
    actions = ["retitle", "never"]
    inlines = [ClosedTracks]

    async def get_queryset(self, request: Any) -> Any:
        return Album.objects.exclude(title="Hidden")

    async def tracks(self, album: Album) -> str:
        return f"{await album.tracks.count()} tracks"

    async def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        obj.notes = "saved by async code"
        await obj.save()

    @admin.action
    async def retitle(self, request: Any, queryset: Any) -> None:
        await queryset.update(title="Retitled")

    @admin.action(permissions=["never"])
    async def never(self, request: Any, queryset: Any) -> None:
        await queryset.delete()

    async def has_never_permission(self, request: Any) -> bool:
        return False


async def test_permissions_may_be_async() -> None:
    await superuser()
    label = await Label.objects.create(name="Verve")
    album = await an_album()
    track = await Track.objects.create(album=album, title="Sinnerman")
    site = AdminSite()
    site.register(Label, ClosedLabels)
    site.register(Album, AsyncAlbums)
    async with administering(site=site) as http:
        assert "/admin/records/label/" not in (await http.get("/admin/")).text
        for page in ("", "add/", *(f"{label.pk}/{p}/" for p in ("change", "delete"))):
            url = f"/admin/records/label/{page}"
            assert (await http.get(url)).status_code == 403
            response = await http.post(url, data={"name": "x", "post": "yes"})
            assert response.status_code == 403
        url = f"/admin/records/album/{album.pk}/change/"
        assert "Sinnerman" not in text(await http.get(url))
        data = {
            "tracks-TOTAL_FORMS": "1",
            "tracks-INITIAL_FORMS": "1",
            "tracks-0-id": str(track.pk),
            "tracks-0-DELETE": "on",
        }
        await http.post(url, data=data)
    assert await Label.objects.get() == label
    assert await Track.objects.get() == track


async def renote(admin: Any, request: Any, queryset: Any) -> None:
    await queryset.update(notes="by an action of the site")


async def test_other_overrides_may_be_async() -> None:
    await superuser()
    album = await an_album()
    await an_album(title="Hidden")
    label = await Label.objects.create(name="Verve")
    genre = await album.genres.create(name="Jazz")
    site = AdminSite()
    site.register(Album, AsyncAlbums)
    site.add_action(renote)
    async with administering(site=site) as http:
        page = text(await http.get("/admin/records/album/"))
        assert "0 tracks" in page
        assert "1 genres" in page
        assert "Hidden" not in page
        page = text(await http.get("/admin/records/album/?noted=loud"))
        assert "Hidden" not in page
        assert "0 tracks" not in page
        page = text(await http.get(f"/admin/records/album/{album.pk}/change/"))
        assert "1 genres" in page
        data = {
            "title": "Wild Is the Wind",
            "year": "1966",
            "released": "1966-09-01",
            "artist": str(album.artist_id),
            "label": str(label.pk),
            "genres": str(genre.pk),
            "notes": "x",
        }
        url = f"/admin/records/album/{album.pk}/change/"
        assert (await http.post(url, data=data)).status_code == 302
        await album.refresh_from_db()
        assert (album.title, album.notes) == ("Wild Is the Wind", "saved by async code")
        data = {"index": "0", "_selected_action": str(album.pk)}
        for action in ("never", "retitle", "renote"):
            await http.post("/admin/records/album/", data={**data, "action": action})
    await album.refresh_from_db()
    assert album.title == "Retitled"
    assert album.notes == "by an action of the site"


class ClosedSite(AdminSite):
    async def has_permission(self, request: Any) -> bool:
        return False


async def test_a_site_may_ask_for_permission_in_async_code() -> None:
    await superuser()
    async with administering(site=ClosedSite()) as http:
        assert (await http.get("/admin/")).status_code == 302
