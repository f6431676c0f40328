"""What a project overrides in the admin may be async: permissions, columns, actions."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, list-item, misc, override"
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as djangos
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.core.exceptions import PermissionDenied

from tests.records.models import Album, Label, Track
from tests.web.admin.administering import (
    administering,
    an_album,
    superuser,
    text,
    user,
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


called: set[str] = set()


def awaiting(name: str) -> Any:
    """An async override of the method *name* that awaits that of `super()`."""

    async def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        called.add(name)
        return await getattr(super(type(self).awaits, self), name)(*args, **kwargs)

    override.__name__ = name
    return override


HOOKS = (
    "change_view changeform_view changelist_view delete_model delete_queryset "
    "delete_view get_changelist_instance get_deleted_objects get_form "
    "get_inline_instances get_object has_add_permission has_change_permission "
    "has_delete_permission has_module_permission has_view_permission history_view "
    "log_addition log_change log_deletions render_change_form response_action "
    "response_add response_change response_delete save_formset save_model save_related"
).split()
OF_SITE = "app_index each_context get_app_list has_permission index".split()


def overriding(base: type, names: list[str], **options: Any) -> Any:
    cls: Any = type("Own", (base,), {n: awaiting(n) for n in names} | options)
    cls.awaits = cls
    return cls


class Tracks(djangos.TabularInline):
    model = Track
    extra = 0


@pytest.mark.parametrize("base", [djangos.ModelAdmin, ModelAdmin])
async def test_async_overrides_await_those_of_super(base: type) -> None:
    await superuser()
    album, other = await an_album(), await an_album(title="Other")
    track = await Track.objects.create(album=album, title="Sinnerman")
    called.clear()
    site = overriding(AdminSite, OF_SITE)()
    options = {"fields": ["title"], "inlines": [Tracks]}
    site.register(Album, overriding(base, HOOKS, **options))
    here = "/admin/records/album/"
    rows = {"tracks-TOTAL_FORMS": "1", "tracks-INITIAL_FORMS": "1"}
    rows |= {"tracks-0-id": str(track.pk), "tracks-0-album": str(album.pk)}
    rows |= {"tracks-0-title": "Strange Fruit", "tracks-0-position": "1"}
    none = {"tracks-TOTAL_FORMS": "0", "tracks-INITIAL_FORMS": "0"}
    async with administering(site=site) as http:
        for page in ("/admin/", "/admin/records/", here, f"{here}{album.pk}/history/"):
            assert (await http.get(page)).status_code == 200
        change = f"{here}{album.pk}/change/"
        assert "Sinnerman" in (await http.get(change)).text
        response = await http.post(change, data={"title": "Pastel", **rows})
        assert response.headers["location"] == here
        page = (await http.get(here)).text
        assert "was changed successfully" in page
        assert "Pastel" in page
        await album.refresh_from_db()
        await track.refresh_from_db()
        assert (album.title, track.title) == ("Pastel", "Strange Fruit")
        response = await http.post(f"{here}{album.pk}/delete/", data={"post": "yes"})
        assert response.headers["location"] == here
        action = {"action": "delete_selected", "_selected_action": str(other.pk)}
        await http.post(here, data={**action, "index": "0", "post": "yes"})
        assert await Album.objects.count() == 0
        # Artist and year are missing, which the form has no fields for.
        response = await http.post(f"{here}add/", data={"title": "", **none})
        assert "This field is required." in response.text
    flags = [entry.action_flag async for entry in LogEntry.objects.order_by("pk")]
    assert flags == [CHANGE, DELETION, DELETION]
    missing = {*HOOKS, *OF_SITE} - called
    assert missing <= {"log_addition", "response_add", "has_view_permission"}


async def test_an_error_after_super_undoes_what_super_saved() -> None:
    await superuser()
    album = await an_album()

    class Failing(ModelAdmin):
        fields = ["title"]

        async def save_related(self, *args: Any) -> None:
            await super().save_related(*args)
            assert await Album.objects.filter(title="Unlucky").exists()
            raise PermissionDenied

    site = AdminSite()
    site.register(Album, Failing)
    async with administering(site=site) as http:
        url = f"/admin/records/album/{album.pk}/change/"
        assert (await http.post(url, data={"title": "Unlucky"})).status_code == 403
    before = album.title
    await album.refresh_from_db()
    assert album.title == before


async def test_super_without_await_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await superuser()
    album = await an_album()

    class Forgetful(ModelAdmin):
        fields = ["title"]

        async def save_model(self, *args: Any) -> None:
            super().save_model(*args)

    site = AdminSite()
    site.register(Album, Forgetful)
    async with administering(site=site) as http:
        url = f"/admin/records/album/{album.pk}/change/"
        assert (await http.post(url, data={"title": "x"})).status_code == 500
    assert "'Forgetful.save_model' was called on the event loop" in caplog.text
    assert await Album.objects.get(title=album.title) == album


async def test_permissions_to_export_and_import_may_be_async() -> None:
    await superuser()
    await user("reader", "view_album")
    options = {"import_fields": ["title"]}
    names = ["has_export_permission", "has_import_permission"]
    site = AdminSite()
    site.register(Album, overriding(ModelAdmin, names, **options))
    for name, importing in (("ada", 200), ("reader", 403)):
        called.clear()
        async with administering(name, site=site) as http:
            here = "/admin/records/album/"
            assert (await http.get(f"{here}export/csv/")).status_code == 200
            assert (await http.get(f"{here}import/")).status_code == importing
        assert called == {*names}
