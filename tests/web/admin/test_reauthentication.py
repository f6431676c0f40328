"""The password once more, before what is dangerous."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.http import HttpResponse

from tests.records.models import Album, Artist, Track
from tests.web.admin.administering import (
    AlbumAdmin,
    administering,
    an_album,
    superuser,
    text,
    user,
)
from tests.web.admin.test_conflicts import form_of
from vinyl.web import path
from vinyl.web.admin import AdminSite, ModelAdmin, TabularInline, action

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"
ASKED = "To go on, enter the password of ada."


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


class Careful(AdminSite):
    # Each time, so that the login of a test is not enough.
    reauthenticate_after = 0


class Patient(AdminSite):
    reauthenticate_after = 1e9


class Albums(AlbumAdmin):
    actions = ["reissue", "praise", "burn"]
    import_fields = ["id", "title"]
    reauthenticate_for = ["delete", "delete_selected", "import", "burn", "melt"]

    @action(description="Reissue")
    async def reissue(self, request: Any, queryset: Any) -> Any:
        # Of its own accord.
        self.admin_site.require_password(request)
        await queryset.update(year=2026)

    @action(description="Praise")
    def praise(self, request: Any, queryset: Any) -> None:
        queryset.update(notes="Praised")

    @action(description="Burn")
    async def burn(self, request: Any, queryset: Any) -> Any:
        await queryset.delete()
        yield "Burnt."

    def get_urls(self) -> list[Any]:
        view: Any = self.admin_site.admin_view
        own = path("melt/", view(self.melt), name="records_album_melt")
        return [own, *super().get_urls()]

    async def melt(self, request: Any) -> Any:
        await Album.objects.all().delete()
        return HttpResponse("Melted.")


class Members(TabularInline):
    model = User.groups.through
    extra = 1


class Groups(GroupAdmin):
    inlines = [Members]


def site_of(cls: type[AdminSite] = Careful) -> AdminSite:
    site = cls()
    site.register(Album, Albums)
    site.register(Artist, search_fields=["name"])
    site.register(User, UserAdmin)
    site.register(Group, Groups)
    site.register(Track)
    return site


async def confirm(http: Any, page: Any, url: str, password: str = "secret") -> Any:
    assert page.status_code == 403
    assert "no-store" in page.headers["cache-control"]
    data = form_of(page)
    assert data["_confirm-password"] == [""]
    return await http.post(url, data=data | {"_confirm-password": password})


async def test_a_deletion_is_carried_out_after_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await superuser()
    url = f"{LIST}{(await an_album()).pk}/delete/"
    async with administering(site=site_of()) as http:
        assert (await http.get(url)).status_code == 200
        page = await http.post(url, data={"post": "yes"})
        assert ASKED in page.text
        page = await confirm(http, page, url, "wrong")
        assert "Please enter the correct username and password" in page.text
        assert await Album.objects.count() == 1
        assert "Wrong password of 'ada' from" in caplog.text
        with caplog.at_level(logging.INFO, "django.security.reauthentication"):
            response = await confirm(http, page, url)
        assert f"Password confirmed by 'ada' from 127.0.0.1: POST {url}" in caplog.text
        assert response.headers["location"] == LIST
    assert await Album.objects.count() == 0


async def test_the_password_counts_for_a_while() -> None:
    await superuser()
    site: Any = site_of(Patient)
    async with administering(site=site) as http:
        # The login counts.
        url = f"{LIST}{(await an_album()).pk}/delete/"
        assert (await http.post(url, data={"post": "yes"})).status_code == 302
        site.reauthenticate_after = 0
        url = f"{LIST}{(await an_album()).pk}/delete/"
        page = await http.post(url, data={"post": "yes"})
        assert (await confirm(http, page, url)).status_code == 302
        site.reauthenticate_after = 1e9
        url = f"{LIST}{(await an_album()).pk}/delete/"
        assert (await http.post(url, data={"post": "yes"})).status_code == 302
        # A login outside of the admin does not.
        session = await Session.objects.get()
        kept = session.get_decoded()
        del kept["_vinyl_password"]
        session.session_data = Session.objects.encode(kept)
        await session.save()
        url = f"{LIST}{(await an_album()).pk}/delete/"
        page = await http.post(url, data={"post": "yes"})
        assert (await confirm(http, page, url)).status_code == 302
    assert await Album.objects.count() == 0


async def test_the_password_of_somebody_else_is_wrong() -> None:
    await superuser()
    bob = await superuser("bob")
    bob.set_password("other")
    await bob.save()
    url = f"{LIST}{(await an_album()).pk}/delete/"
    async with administering(site=site_of()) as http:
        page = await http.post(url, data={"post": "yes"})
        # Neither with a name that was put into the form.
        data = {"_confirm-password": "other", "_confirm-username": "bob"}
        page = await http.post(url, data=form_of(page) | data)
        assert "Please enter the correct" in page.text
    assert await Album.objects.count() == 1


async def test_attempts_are_limited_together_with_logins() -> None:
    class Limited(Careful):
        login_account_limit = 2
        login_limit_seconds = 1e12

    await superuser()
    url = f"{LIST}{(await an_album()).pk}/delete/"
    async with administering(site=site_of(Limited)) as http:
        page = await http.post(url, data={"post": "yes"})
        for _ in range(2):
            page = await confirm(http, page, url, "wrong")
        page = await confirm(http, page, url)
        assert "Too many failed attempts to log in." in page.text
        data = {"username": "ada", "password": "secret"}
        page = await http.post("/admin/login/", data=data)
        assert "Too many failed attempts to log in." in page.text
    assert await Album.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "asks"),
    [("reissue", True), ("burn", True), ("praise", False), ("delete_selected", True)],
)
async def test_actions_that_are_named_and_those_that_ask(name: str, asks: bool) -> None:
    await superuser()
    album = await an_album()
    data: Any = {"action": name, "_selected_action": str(album.pk)}
    if name == "delete_selected":
        data["post"] = "yes"
    async with administering(site=site_of()) as http:
        page = await http.post(LIST, data=data)
        assert (page.status_code == 403) == asks, page.text
        if asks:
            assert await Album.objects.filter(year=album.year).exists()
            page = await confirm(http, page, LIST)
            assert page.status_code in (200, 302)
    left = [(album.year, album.notes) async for album in Album.objects.all()]
    expected = {"reissue": [(2026, "")], "praise": [(1965, "Praised")]}
    assert left == expected.get(name, [])


async def test_the_question_of_an_action_asks_for_no_password() -> None:
    await superuser()
    album = await an_album()
    data = {"action": "delete_selected", "_selected_action": str(album.pk)}
    async with administering(site=site_of()) as http:
        assert "Are you sure you want" in text(await http.post(LIST, data=data))


async def test_pages_of_a_project() -> None:
    await superuser()
    await an_album()
    url = f"{LIST}melt/"
    async with administering(site=site_of()) as http:
        page = await http.post(url, data={"heat": "1"})
        assert await Album.objects.count() == 1
        assert text(await confirm(http, page, url)) == "Melted."


async def test_what_was_typed_is_saved_and_files_are_chosen_again() -> None:
    class Covers(ModelAdmin):
        reauthenticate_for = ("add",)
        fields = ("title", "year", "artist")

        def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
            obj.notes = request.FILES["cover"].read().decode()
            super().save_model(request, obj, form, change)

    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    site = Careful()
    site.register(Album, Covers)
    url = f"{LIST}add/"
    async with administering(site=site) as http:
        data = {"title": "Typed <b>", "year": "1965", "artist": str(artist.pk)}
        files = {"cover": ("front <1>.txt", b"a picture")}
        page = await http.post(url, data=data, files=files)
        assert "File: front &lt;1&gt;.txt" in page.text
        assert 'type="file" name="cover"' in page.text
        data = form_of(page) | {"_confirm-password": "secret"}
        data.pop("cover")
        assert "_lost_files" not in data
        response = await http.post(url, data=data, files=files)
        assert response.status_code == 302, response.text
    album = await Album.objects.get()
    assert (album.title, album.notes) == ("Typed <b>", "a picture")


async def test_permissions_are_given_after_the_password() -> None:
    await superuser()
    bob = await user("bob")
    url = f"/admin/auth/user/{bob.pk}/change/"
    async with administering(site=site_of()) as http:
        form = form_of(await http.get(url))
        # Not for other fields, nor for a form with an error.
        data = form | {"first_name": "Robert", "_continue": "1"}
        assert (await http.post(url, data=data)).status_code == 302
        form = form_of(await http.get(url)) | {"is_superuser": "on"}
        page = await http.post(url, data=form | {"username": ""})
        assert "This field is required." in text(page)
        page = await http.post(url, data=form)
        await bob.refresh_from_db()
        assert (bob.first_name, bob.is_superuser) == ("Robert", False)
        assert (await confirm(http, page, url)).status_code == 302
        await bob.refresh_from_db()
        assert bob.is_superuser
        # The members of a group, in the rows of an inline.
        group = await Group.objects.create(name="Editors")
        await group.user_set.add(bob)
        url = f"/admin/auth/group/{group.pk}/change/"
        form = form_of(await http.get(url))
        page = await http.post(url, data=form | {"User_groups-0-DELETE": "on"})
        assert await group.user_set.count() == 1
        assert (await confirm(http, page, url)).status_code == 302
        assert await group.user_set.count() == 0
        url = "/admin/auth/group/add/"
        some = await Permission.objects.filter(codename="add_album").values_list(
            "pk", flat=True
        )
        form = form_of(await http.get(url))
        form |= {"name": "New", "permissions": [str(pk) for pk in some]}
        page = await http.post(url, data=form)
        assert not await Group.objects.filter(name="New").exists()
        assert (await confirm(http, page, url)).status_code == 302
    assert await Group.objects.filter(name="New", permissions__in=some).exists()


async def test_a_page_for_passwords_asks_before_it_is_shown() -> None:
    await superuser()
    bob = await user("bob")
    url = f"/admin/auth/user/{bob.pk}/password/"
    async with administering(site=site_of()) as http:
        page = await http.get(url)
        page = await confirm(http, page, url, "wrong")
        response = await confirm(http, page, url)
        assert response.headers["location"] == url
        # It counts for no time here, so the new password is to be typed again.
        data = {"password1": "hush-1965", "password2": "hush-1965"}
        page = await http.post(url, data=data)
        assert "hush" not in page.text
        assert "This field is required." in text(await confirm(http, page, url))
        assert (await http.get("/admin/password_change/")).status_code == 200


async def test_an_import_is_saved_after_the_password() -> None:
    await superuser()
    album = await an_album()
    url = f"{LIST}import/"
    async with administering(site=site_of()) as http:
        table = f"id,title\n{album.pk},Imported\n".encode()
        page = await http.post(url, files={"file": ("a.csv", table)})
        assert "Imported" in text(page)
        page = await http.post(url, data=form_of(page) | {"save": "1"})
        await album.refresh_from_db()
        assert album.title == "Pastel Blues"
        done = await confirm(http, page, url)
        assert "1 changed" in text(done)
    await album.refresh_from_db()
    assert album.title == "Imported"


async def test_popups_and_permissions_of_objects() -> None:
    class Kept(Albums):
        def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
            return obj is None or obj.title != "Kept"

    await superuser()
    site = Careful()
    site.register(Album, Kept)
    site.register(Track)
    gone, kept = await an_album(), await an_album(title="Kept")
    async with administering(site=site) as http:
        url = f"{LIST}{gone.pk}/delete/?_popup=1"
        page = await http.post(url, data={"post": "yes", "_popup": "1"})
        assert "<body class=" in page.text
        assert " popup" in page.text
        assert re.search(r'action="[^"]*/delete/\?_popup=1"', page.text)
        done = await confirm(http, page, url)
        assert '"action": "delete"' in unescape(done.text)
        url = f"{LIST}{kept.pk}/delete/"
        page = await http.post(url, data={"post": "yes"})
        assert (await confirm(http, page, url)).status_code == 403
    assert [album.title async for album in Album.objects.all()] == ["Kept"]


async def test_neither_strangers_nor_other_sites_get_the_page() -> None:
    await superuser()
    await user("bob", is_staff=False)
    url = f"{LIST}{(await an_album()).pk}/delete/"
    async with administering(None, site=site_of()) as http:
        data = {"post": "yes", "_confirm-password": "secret"}
        page = await http.post(url, data=data)
        assert ASKED not in page.text
    async with administering(site=site_of()) as http:
        other = {"sec-fetch-site": "cross-site"}
        page = await http.post(url, data={"post": "yes"}, headers=other)
        assert page.status_code == 403
        assert "_confirm" not in page.text
    assert await Album.objects.count() == 1


async def test_no_site_asks_by_default() -> None:
    await superuser()
    site = site_of(AdminSite)
    url = f"{LIST}{(await an_album()).pk}/delete/"
    async with administering(site=site) as http:
        assert (await http.post(url, data={"post": "yes"})).status_code == 302
