"""Adding, changing and deleting: Django's forms, natively, on pages of vinyl's own."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.files.storage import FileSystemStorage
from django.db import connections, models
from django.test import RequestFactory
from django.test.utils import isolate_apps
from django.utils import timezone

from tests.records.models import Album, Artist, Biography, Genre, Label, Review, Track
from tests.web.admin.administering import (
    TrackInline,
    administering,
    site,
    superuser,
    text,
    user,
)
from vinyl.orm import run
from vinyl.web.admin import AdminSite, ModelAdmin, StackedInline

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"

# The management form of the inlines, with no track.
NO_TRACKS = {"tracks-TOTAL_FORMS": "0", "tracks-INITIAL_FORMS": "0"}


def posted(artist: Artist, /, **fields: Any) -> dict[str, Any]:
    return {
        "title": "Pastel Blues",
        "year": "1965",
        "released": "1965-10-01",
        "artist": str(artist.pk),
        "notes": "Sinnerman",
        **NO_TRACKS,
        **fields,
    }


async def some() -> tuple[Artist, Label, Genre]:
    await superuser()
    return (
        await Artist.objects.create(name="Nina Simone"),
        await Label.objects.create(name="Philips"),
        await Genre.objects.create(name="Jazz"),
    )


def values(page: Any) -> dict[str, str]:
    """The inputs of a page with their values."""
    found = {}
    for tag in re.findall(r"<input[^>]*>", page.text):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "name" in attributes:
            found[attributes["name"]] = unescape(attributes.get("value", ""))
    return found


async def test_an_object_is_added_with_all_that_belongs_to_it() -> None:
    artist, label, genre = await some()
    async with administering() as http:
        page = await http.get(f"{LIST}add/")
        assert "Add album" in text(page)
        assert values(page)["released"] == "1965-10-01"
        data = posted(artist, label=label.pk, genres=[genre.pk])
        data |= {
            "tracks-TOTAL_FORMS": "2",
            "tracks-0-title": "Sinnerman",
            "tracks-0-position": "9",
            "tracks-1-title": "",
            "tracks-1-position": "1",
        }
        response = await http.post(f"{LIST}add/", data=data)
        assert response.headers["location"] == LIST, text(response)
    album = await Album.objects.get()
    assert album.label_id == label.pk
    assert [g async for g in album.genres.all()] == [genre]
    assert [t.title async for t in album.tracks.all()] == ["Sinnerman"]


async def test_fields_that_are_not_named_are_those_of_django() -> None:
    class Without(ModelAdmin):
        def formfield_for_dbfield(
            self, db_field: Any, request: Any, **kwargs: Any
        ) -> Any:
            if db_field.name == "notes":
                return None
            return super().formfield_for_dbfield(db_field, request, **kwargs)

    class Rows(StackedInline):
        model = Track

    class DjangosRows(admin.StackedInline):  # type: ignore[type-arg]  # not generic at runtime
        model = Track

    request: Any = RequestFactory().get("/")
    request.user = await superuser()

    def names() -> None:
        for model in (Album, Artist, Genre, Review, Biography, Track):
            own = ModelAdmin(model, site)
            djangos = admin.ModelAdmin(model, admin.AdminSite())
            assert own.get_fields(request) == djangos.get_fields(request)
        kept = Without(Album, site).get_fields(request)
        every = ModelAdmin(Album, site).get_fields(request)
        assert kept == [name for name in every if name != "notes"]
        rows = Rows(Album, site).get_fields(request)
        assert rows == DjangosRows(Album, admin.AdminSite()).get_fields(request)

    await run(names)


async def test_three_ways_to_save() -> None:
    artist, label, genre = await some()
    async with administering() as http:
        data = posted(artist, label=label.pk, genres=[genre.pk])
        response = await http.post(f"{LIST}add/", data={**data, "_continue": "1"})
        album = await Album.objects.get()
        one = f"{LIST}{album.pk}/change/"
        assert response.headers["location"] == one
        assert "You may edit it again below" in text(await http.get(one))
        response = await http.post(one, data={**data, "_addanother": "1"})
        assert response.headers["location"] == f"{LIST}add/"
        # Back to the filtered list that the visitor came from.
        kept = f"{one}?_changelist_filters=year%3D1965"
        assert "year%3D1965" in (await http.get(kept)).text
        response = await http.post(kept, data={**data, "_save": "1"})
        assert response.headers["location"] == f"{LIST}?year=1965"


async def test_mistakes_are_shown_beside_the_fields_and_nothing_is_saved() -> None:
    artist, *_ = await some()
    async with administering() as http:
        data = posted(artist, title="", year="soon", artist="99999", label="x")
        page = await http.post(f"{LIST}add/", data=data)
        shown = text(page)
        assert "Please correct the errors below." in shown
        assert "This field is required." in shown
        assert "Enter a whole number." in shown
        assert "Select a valid choice." in shown
        assert values(page)["year"] == "soon"
        for pk in ("abc", "9" * 30, "\x00", "-1"):
            data = posted(artist, artist=pk, genres=[pk], label=pk)
            response = await http.post(f"{LIST}add/", data=data)
            assert response.status_code in (200, 400)
        # Nor without the form of the inlines.
        assert "is missing" in text(await http.post(f"{LIST}add/", data={"title": "x"}))
    assert await Album.objects.count() == 0
    assert await LogEntry.objects.count() == 0


async def test_a_raw_key_loads_no_table_into_the_page() -> None:
    artist, *_ = await some()
    for i in range(20):
        await Artist.objects.create(name=f"Somebody {i}")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    async with administering() as http:
        page = await http.get(f"{LIST}{album.pk}/change/")
        assert values(page)["artist"] == str(artist.pk)
        assert "Nina Simone" in text(page)
        assert "Somebody" not in page.text
        assert 'href="/admin/records/artist/?_to_field=id"' in page.text
        # The window that opens lets one choose.
        popup = await http.get("/admin/records/artist/?_popup=1&_to_field=id")
        assert f'data-popup-opener="{artist.pk}"' in popup.text
        assert "View site" not in text(popup)


async def test_dates_and_times_use_the_browsers_fields_and_keep_the_seconds() -> None:
    await superuser()
    site = AdminSite()
    site.register(User, fields=["username", "date_joined", "last_login"])
    moment = datetime.datetime(2024, 2, 29, 13, 14, 15, tzinfo=datetime.UTC)
    bob = await user("bob", date_joined=moment)
    url = f"/admin/auth/user/{bob.pk}/change/"
    async with administering(site=site) as http:
        page = await http.get(url)
        found = values(page)
        local = timezone.localtime(moment)
        assert found["date_joined_0"] == "2024-02-29"
        assert found["date_joined_1"] == local.strftime("%H:%M:%S")
        assert page.text.count('type="date"') == 2
        response = await http.post(url, data={**found, "username": "bobby"})
        assert response.status_code == 302
    await bob.refresh_from_db()
    assert (bob.username, bob.date_joined) == ("bobby", moment)


async def test_a_deletion_lists_related_objects() -> None:
    artist, *_ = await some()
    for i in range(3):
        album = await Album.objects.create(title=f"Album {i}", artist=artist)
        await Track.objects.create(album=album, title=f"Track {i}")
    url = f"/admin/records/artist/{artist.pk}/delete/"
    async with administering() as http:
        page = text(await http.get(url))
        assert "Artists: 1" in page
        assert "Albums: 3" in page
        assert "Tracks: 3" in page
        assert "Track 2" in page
        assert (await http.post(url, data={})).status_code == 200
        assert await Artist.objects.count() == 1
        response = await http.post(url, data={"post": "yes"})
        assert response.headers["location"] == "/admin/records/artist/"
    assert await Artist.objects.count() == await Track.objects.count() == 0


async def test_a_deletion_lists_the_first_of_very_many() -> None:
    artist, *_ = await some()
    albums = [Album(title=f"Album {i:03}", artist=artist) for i in range(105)]
    await Album.objects.bulk_create(albums)
    url = f"/admin/records/artist/{artist.pk}/delete/"
    async with administering() as http:
        page = text(await http.get(url))
    assert "Albums: 105" in page
    assert page.count("Album: Album ") == 100


async def test_a_deletion_lists_missing_permissions() -> None:
    artist = await Artist.objects.create(name="Nina Simone")
    await Album.objects.create(title="Pastel Blues", artist=artist)
    await user("ada", "view_artist", "delete_artist")
    url = f"/admin/records/artist/{artist.pk}/delete/"
    async with administering() as http:
        page = text(await http.get(url))
        assert "doesn't have permission to delete" in page
        assert "album" in page
        assert (await http.post(url, data={"post": "yes"})).status_code == 403
    assert await Artist.objects.count() == 1


async def test_a_deletion_lists_protected_objects(monkeypatch: Any) -> None:
    artist, *_ = await some()
    await Album.objects.create(title="Pastel Blues", artist=artist)
    relation = Album._meta.get_field("artist").remote_field
    monkeypatch.setattr(relation, "on_delete", models.PROTECT)
    url = f"/admin/records/artist/{artist.pk}/delete/"
    async with administering() as http:
        page = await http.get(url)
        assert "protected related objects" in text(page)
        assert "Pastel Blues" in text(page)
        assert "I’m sure" not in text(page)
        await http.post(url, data={"post": "yes"})
    assert await Artist.objects.count() == 1


@pytest.mark.parametrize("page", ["change", "delete", "history"])
@pytest.mark.parametrize("key", ["abc", "999", "9" * 30, "1_0", "%F0%9F%98%80"])
async def test_a_missing_object_redirects_to_the_index_with_a_message(
    page: str, key: str
) -> None:
    await superuser()
    async with administering() as http:
        for method in (http.get, http.post):
            response = await method(f"{LIST}{key}/{page}/")
            if key == "%00" and response.status_code == 400:
                continue
            assert response.headers["location"] == "/admin/"
            assert "doesn’t exist" in text(await http.get("/admin/"))


async def test_addresses_that_lead_nowhere() -> None:
    await superuser()
    paths = {
        "/admin/nothing/": 404,
        "/admin/records/nothing/": 404,
        "/admin/r/x/y/": 404,
        "/admin/r/1/999/": 404,
        "/admin/autocomplete/": 403,
        "/admin/records/album/add/?_to_field=nothing": 400,
        "/admin/records/album/add/?artist=x&released=never&genres=1,x": 200,
        "/admin/jsi18n/": 200,
    }
    async with administering() as http:
        for url, status in paths.items():
            assert (await http.get(url)).status_code == status, url
        label = await Label.objects.create(name="Verve")
        for page in ("change", "delete"):
            url = f"/admin/records/label/{label.pk}/{page}/?_to_field="
            assert (await http.get(url)).status_code == 200
        slashless = await http.get("/admin/records/album")
        assert slashless.headers["location"] == "/admin/records/album/"


class BiographyInline(StackedInline):
    model = Biography


async def test_stacked_inlines_and_models_with_other_keys() -> None:
    ada = await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    site = AdminSite()
    site.register(Artist, inlines=[BiographyInline])
    site.register(Session, list_display=["session_key", "expire_date"])
    url = f"/admin/records/artist/{artist.pk}/change/"
    async with administering(site=site) as http:
        assert 'name="biography-0-text"' in (await http.get(url)).text
        data = {
            "name": "Nina Simone",
            "biography-TOTAL_FORMS": "1",
            "biography-INITIAL_FORMS": "0",
            "biography-0-artist": str(artist.pk),
            "biography-0-text": "Born in Tryon",
        }
        assert (await http.post(url, data=data)).status_code == 302
        assert "Born in Tryon" in (await http.get(url)).text
        assert ada.username in text(await http.get(f"{url}../history/"))
        session = await Session.objects.get()
        sessions = await http.get(f"/admin/sessions/session/{session.pk}/change/")
        assert session.pk in sessions.text


class Validating(ModelAdmin):
    """Methods of one's own use the database without await."""

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        obj.name = f"{obj.name} ({Label.objects.count() + 1}, {request.user})"
        super().save_model(request, obj, form, change)
        if "fail" in obj.name:
            raise RuntimeError("after it was saved")


async def test_a_change_is_made_as_a_whole_or_not_at_all() -> None:
    await superuser()
    site = AdminSite()
    site.register(Label, Validating)
    async with administering(site=site) as http:
        url = "/admin/records/label/add/"
        assert (await http.post(url, data={"name": "Verve"})).status_code == 302
        assert (await http.post(url, data={"name": "fail"})).status_code == 500
    assert [label.name async for label in Label.objects.all()] == ["Verve (1, ada)"]
    assert await LogEntry.objects.count() == 1


async def test_rows_of_inlines_need_permissions_of_their_own() -> None:
    nina = await Artist.objects.create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=nina)
    track = await Track.objects.create(album=album, title="Sinnerman")
    other = await Album.objects.create(title="Other", artist=nina)
    others = await Track.objects.create(album=other, title="Other")
    rows = {
        "tracks-TOTAL_FORMS": "2",
        "tracks-INITIAL_FORMS": "1",
        "tracks-0-id": str(track.pk),
        "tracks-0-album": str(album.pk),
        "tracks-0-title": "Changed",
        "tracks-0-position": "1",
        "tracks-1-album": str(album.pk),
        "tracks-1-title": "Added",
        "tracks-1-position": "2",
    }
    site = AdminSite()
    site.register(Album, fields=["title"], inlines=[TrackInline])
    url = f"/admin/records/album/{album.pk}/change/"
    expected = {
        "view_artist": ["Sinnerman"],
        "add_track": ["Sinnerman", "Added"],
        "change_track": ["Changed", "Added"],
        "delete_track": ["Added"],
    }
    for permission, titles in expected.items():
        await user(permission, "change_album", "view_track", permission)
        async with administering(permission, site=site) as http:
            for row in (rows, {**rows, "tracks-0-id": str(others.pk)}):
                if permission == "delete_track":
                    row = {**row, "tracks-0-DELETE": "on"}
                await http.post(url, data={"title": "Mine", **row})
        found = {t.title async for t in album.tracks.all()}
        assert found == set(titles), permission
    await others.refresh_from_db()
    assert (others.title, await others.album) == ("Other", other)


async def test_no_field_is_saved_that_is_not_offered() -> None:
    nina = await Artist.objects.create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=nina)
    await superuser()
    site = AdminSite()
    site.register(Album, fields=["title", "notes"], readonly_fields=["notes"])
    async with administering(site=site) as http:
        data = {"title": "New", "notes": "x", "year": "1", "id": "77", "pk": "77"}
        url = f"/admin/records/album/{album.pk}/change/"
        assert (await http.post(url, data=data)).status_code == 302
    saved = await Album.objects.get()
    assert (saved.pk, saved.title) == (album.pk, "New")
    assert (saved.notes, saved.year) == (album.notes, album.year)


# ----- Files

with isolate_apps("tests.records"):

    class Sleeve(models.Model):
        """A model of this module only: its table is made by the fixture."""

        title = models.CharField(max_length=20)
        image = models.FileField(upload_to="sleeves", blank=True)
        page = models.URLField(blank=True)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return self.title


@pytest.fixture
def folder(db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    image = Sleeve._meta.get_field("image")
    monkeypatch.setattr(image, "storage", FileSystemStorage(tmp_path, "/media/"))
    with connections["default"].schema_editor() as editor:
        editor.create_model(Sleeve)
    connections["default"].close()
    yield tmp_path
    with connections["default"].schema_editor() as editor:
        editor.delete_model(Sleeve)
    ContentType.objects.filter(app_label="records", model="sleeve").delete()


async def test_a_file_is_kept_replaced_and_cleared(folder: Path) -> None:
    await superuser()
    site = AdminSite()
    site.register(Sleeve, list_display=["title", "image", "page"])
    url = "/admin/records/sleeve/add/"
    async with administering(site=site) as http:

        async def post(text: bytes | None = None, **fields: str) -> str:
            data = {"title": "Front", "page": "https://example.org/?a=1&b=2", **fields}
            files = {"image": ("a.txt", text)} if text is not None else None
            response = await http.post(url, data=data, files=files)
            assert response.status_code == 302
            return (await Sleeve.objects.get()).image.name

        first = await post(b"one")
        assert (folder / first).read_bytes() == b"one"
        url = f"/admin/records/sleeve/{(await Sleeve.objects.get()).pk}/change/"
        page = (await http.get(url)).text
        assert 'enctype="multipart/form-data"' in page
        assert f'<a href="/media/{first}">{first}</a>' in page
        assert 'href="https://example.org/?a=1&amp;b=2"' in page
        assert await post() == first
        second = await post(b"two")
        assert second != first
        assert (folder / second).read_bytes() == b"two"
        assert f"/media/{second}" in (await http.get("/admin/records/sleeve/")).text
        assert await post(**{"image-clear": "on"}) == ""
