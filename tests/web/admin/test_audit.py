"""The log of changes with old and new values."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, func-returns-value, misc"

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from tests.records.models import Album, Artist, Genre, Label
from tests.web.admin.administering import administering, superuser, text, user
from tests.web.admin.test_conflicts import AlbumAdmin, an_album, form_of
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"


def site_with(**options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Album, AlbumAdmin, **options)
    site.register([Artist, Genre, Label])
    return site


async def last() -> Any:
    return await LogEntry.objects.order_by("-pk").afirst()


async def test_old_and_new_values_are_in_the_log_and_on_the_page() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/"
    fields = ["title", "released", "label", "genres"]
    async with administering(site=site_with(fields=fields)) as http:
        form = form_of(await http.get(f"{url}change/"))
        verve = await Label.objects.get(name="Verve")
        soul = await Genre.objects.get(name="Soul")
        form |= {
            "title": "<i>Blues</i>",
            "released": "1966-02-03",
            "label": str(verve.pk),
            "genres": [str(soul.pk)],
            "tracks-0-title": "Sinner Man",
            "tracks-2-title": "Added",
        }
        response = await http.post(f"{url}change/", data=form)
        assert response.status_code == 302, text(response)
        page = await http.get(f"{url}history/")
        shown = text(page)
        assert "Title: Pastel → <i>Blues</i>" in shown
        assert "&lt;i&gt;Blues" in page.text
        assert "Released: Oct. 1, 1965 → Feb. 3, 1966" in shown
        assert "Label: Philips → Verve" in shown
        assert "Genres: Jazz → Soul" in shown
        assert "Sinner Man: Title: Sinnerman → Sinner Man" in shown
        assert "Added track “Added”." in shown
    entry = await last()
    # What Django's own admin makes of it.
    assert entry.get_change_message() == (
        "Changed Title, Released, Label and Genres. Added track “Added”. "
        "Changed Title for track “Sinner Man”."
    )


async def test_fields_that_only_the_form_for_changing_has_are_shown() -> None:
    bob = await superuser()
    url = f"/admin/auth/user/{bob.pk}/"
    site = AdminSite()
    site.register(User, UserAdmin)
    async with administering(site=site) as http:
        form = form_of(await http.get(f"{url}change/")) | {"first_name": "Bob"}
        assert (await http.post(f"{url}change/", data=form)).status_code == 302
        assert "First name: - → Bob" in text(await http.get(f"{url}history/"))


async def test_passwords_and_excluded_fields_are_not_stored() -> None:
    await superuser()
    bob = await user("bob")
    site = AdminSite()
    site.register(User, UserAdmin, audit_exclude=["email"])
    url = f"/admin/auth/user/{bob.pk}/"
    async with administering(site=site) as http:
        form = form_of(await http.get(f"{url}change/"))
        form |= {"email": "hush@example.org", "first_name": "Robert"}
        assert (await http.post(f"{url}change/", data=form)).status_code == 302
        entry = await last()
        assert "Robert" in entry.change_message
        assert "hush" not in entry.change_message
        assert entry.get_change_message() == "Changed First name and Email address."
        data = {"password1": "hush-1965", "password2": "hush-1965"}
        data |= {"usable_password": "true", "set-password": "1"}
        assert (await http.post(f"{url}password/", data=data)).status_code == 302
        entry = await last()
        assert entry.get_change_message() == "Changed password."
        assert "hush" not in entry.change_message
        assert "pbkdf2" not in entry.change_message


async def test_a_visitor_sees_the_values_of_fields_on_the_form_alone() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/"

    class Discreet(AlbumAdmin):
        def get_fields(self, request: Any, obj: Any = None) -> Any:
            return ["title", "year"] if request.user.is_superuser else ["year"]

    site = AdminSite()
    site.register(Album, Discreet)
    await user("bob", "view_album")
    async with administering(site=site) as http:
        form = form_of(await http.get(f"{url}change/"))
        form |= {"title": "Blues", "year": "1966", "tracks-0-title": "Sinner Man"}
        assert (await http.post(f"{url}change/", data=form)).status_code == 302
    async with administering("bob", site=site) as http:
        shown = text(await http.get(f"{url}history/"))
        assert "Year: 1965 → 1966" in shown
        assert "Title: Pastel" not in shown
        assert "Sinnerman" not in shown


@pytest.mark.parametrize(
    "message", ["In words.", "[broken", '[{"changed": {"fields": ["Title"]}}]', ""]
)
async def test_messages_of_others_are_shown_as_they_are(message: str) -> None:
    album = await an_album()
    ada = await User.objects.get()
    kind = await ContentType.objects.get(app_label="records", model="album")
    await LogEntry.objects.create(
        user=ada,
        content_type=kind,
        object_id=str(album.pk),
        object_repr="x",
        action_flag=CHANGE,
        action_time=datetime.datetime.now(datetime.UTC),
        change_message=message,
    )
    async with administering(site=site_with()) as http:
        assert (await http.get(f"{LIST}{album.pk}/history/")).status_code == 200


async def test_a_message_of_the_project_is_left_alone() -> None:
    album = await an_album()

    class Wordy(ModelAdmin):
        fields = ["title"]

        def construct_change_message(self, *args: Any, **kwargs: Any) -> Any:
            return "Changed by me."

    site = AdminSite()
    site.register(Album, Wordy)
    async with administering(site=site) as http:
        data = {"title": "Blues"}
        response = await http.post(f"{LIST}{album.pk}/change/", data=data)
        assert response.status_code == 302
        assert "Changed by me." in text(await http.get(f"{LIST}{album.pk}/history/"))
    assert (await last()).change_message == "Changed by me."
