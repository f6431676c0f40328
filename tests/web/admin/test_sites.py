"""The admin's site: who gets in, what they may do, and what is written down of it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg"

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin as djangos
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User

from tests.records.models import Album, Artist, Label, Track
from tests.web.admin.administering import (
    AlbumAdmin,
    administering,
    an_album,
    log_in,
    superuser,
    text,
    user,
)
from vinyl.orm import run
from vinyl.web import PlainTextResponse, admin, path
from vinyl.web.admin import AdminSite

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LOGIN = "/admin/login/"


# ----- Getting in


async def test_anonymous_visitors_are_redirected_to_the_login_page_and_back() -> None:
    await superuser()
    async with administering(None) as http:
        wanted = "/admin/records/album/?q=blues"
        response = await http.get(wanted)
        assert response.status_code == 302
        login = response.headers["location"]
        assert login == f"{LOGIN}?next=/admin/records/album/%3Fq%3Dblues"
        assert "Log in" in text(await http.get(login))
        data = {"username": "ada", "password": "secret", "next": wanted}
        response = await http.post(login, data=data)
        assert response.headers["location"] == wanted
        assert "Albums" in text(await http.get(wanted))


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", r"\\x"])
async def test_the_login_page_leads_to_no_other_site(target: str) -> None:
    await superuser()
    async with administering(None) as http:
        data = {"username": "ada", "password": "secret", "next": target}
        response = await http.post(LOGIN, data=data, params={"next": target})
    assert response.status_code == 302
    assert response.headers["location"].startswith("/")
    assert "evil" not in response.headers["location"]


async def test_wrong_passwords_and_people_outside_the_staff_stay_outside() -> None:
    await user("bob", is_staff=False)
    await user("ada", is_active=False)
    async with administering(None) as http:
        for name, password in [("bob", "secret"), ("ada", "secret"), ("bob", "x")]:
            data = {"username": name, "password": password, "next": "/admin/"}
            response = await http.post(LOGIN, data=data)
            assert "Please enter the correct username" in text(response)
        assert (await http.get("/admin/")).status_code == 302


async def test_logging_out_needs_a_post_and_ends_the_session() -> None:
    await superuser()
    async with administering() as http:
        assert (await http.get("/admin/logout/")).status_code == 405
        assert "Log in again" in text(await http.post("/admin/logout/"))
        assert (await http.get("/admin/")).status_code == 302


async def test_a_post_from_another_site_is_refused() -> None:
    await superuser()
    async with administering() as http:
        response = await http.post(
            "/admin/records/label/add/",
            data={"name": "Verve"},
            headers={"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        )
    assert response.status_code == 403
    assert await Label.objects.count() == 0


async def test_the_password_can_be_changed() -> None:
    await superuser()
    async with administering() as http:
        assert "old password" in text(await http.get("/admin/password_change/"))
        data = {
            "old_password": "secret",
            "new_password1": "Sinnerman-1965",
            "new_password2": "Sinnerman-1965",
        }
        response = await http.post("/admin/password_change/", data=data)
        assert response.headers["location"] == "/admin/password_change/done/"
        assert "was changed" in text(await http.get("/admin/password_change/done/"))
        await http.post("/admin/logout/")
        await log_in(http, "ada", "Sinnerman-1965")


# ----- What is written down


async def test_each_change_is_logged_and_confirmed_by_a_message() -> None:
    ada = await superuser()
    async with administering() as http:
        response = await http.post("/admin/records/label/add/", data={"name": "Verv"})
        assert response.headers["location"] == "/admin/records/label/"
        page = text(await http.get("/admin/records/label/"))
        assert "The label “ Verv ” was added successfully." in page
        # A message is told once.
        assert "successfully" not in text(await http.get("/admin/records/label/"))
        label = await Label.objects.get()
        one = f"/admin/records/label/{label.pk}"
        await http.post(f"{one}/change/", data={"name": "Verve", "_save": "1"})
        page = text(await http.get("/admin/records/label/"))
        assert "was changed successfully" in page
        history = text(await http.get(f"{one}/history/"))
        assert "Added." in history
        assert "Changed Name." in history
        assert history.count("ada") >= 2
        response = await http.post(f"{one}/delete/", data={"post": "yes"})
        assert response.headers["location"] == "/admin/records/label/"
        assert "was deleted successfully" in text(await http.get("/admin/"))
        recent = text(await http.get("/admin/"))
        assert recent.count("Verve") == 2
    entries = [e async for e in LogEntry.objects.order_by("pk")]
    assert [(e.action_flag, e.object_repr, e.user_id) for e in entries] == [
        (1, "Verv", ada.pk),
        (2, "Verve", ada.pk),
        (3, "Verve", ada.pk),
    ]


async def test_two_admins_at_once_are_independent() -> None:
    await superuser("ada")
    await superuser("bob")
    async with administering("ada") as one, administering("bob") as other:

        async def add(http: Any, name: str) -> None:
            data = {"name": name}
            added = await http.post("/admin/records/label/add/", data=data)
            assert added.status_code == 302
            page = text(await http.get("/admin/"))
            assert f"The label “ {name} ” was added" in page
            assert page.count("was added") == 1

        names = [f"Label {i}" for i in range(5)]
        for name in names:
            await asyncio.gather(
                add(one, f"{name} of ada"), add(other, f"{name} of bob")
            )
    assert await Label.objects.count() == 10
    by_user = LogEntry.objects.filter(object_repr__endswith="of ada")
    assert {e.user.username async for e in by_user.select_related("user")} == {"ada"}


# ----- The site


async def test_names_are_escaped_wherever_they_stand() -> None:
    evil = "<script>alert('x')</script>\"'&"
    await User.objects.create_superuser("ada", password="secret")
    artist = await Artist.objects.create(name=evil)
    album = await an_album(title=evil, artist=artist, notes=evil, label=None)
    await Track.objects.create(album=album, title=evil)
    async with administering() as http:
        one = f"/admin/records/album/{album.pk}"
        await http.post(
            f"/admin/records/artist/{artist.pk}/change/",
            data={"name": f"{evil}2", "_continue": "1"},
        )
        urls = [
            "/admin/",
            "/admin/records/album/",
            f"/admin/records/album/?q={evil}",
            f"{one}/change/",
            f"{one}/history/",
            f"{one}/delete/",
            f"/admin/records/artist/{artist.pk}/change/",
            f"/admin/records/artist/{artist.pk}/history/",
            "/admin/records/biography/add/",
            "/admin/records/album/add/?title=%22%3E%3Cscript%3Ealert(1)",
        ]
        for url in urls:
            response = await http.get(url)
            assert response.status_code == 200, url
            assert "<script>alert" not in response.text, url
        data = {"action": "delete_selected", "index": "0", "_selected_action": album.pk}
        response = await http.post("/admin/records/album/", data=data)
        assert response.status_code == 200
        assert "<script>alert" not in response.text


async def test_pages_work_under_a_strict_content_security_policy() -> None:
    await superuser()
    album = await an_album()
    one = f"/admin/records/album/{album.pk}"
    async with administering() as http:
        for url in ["/admin/", "/admin/records/album/", f"{one}/change/", LOGIN]:
            page = (await http.get(url, follow_redirects=True)).text
            assert not re.search(r"<script(?![^>]* src=)", page), url
            assert not re.search(r"<style|\sstyle=|\son\w+=", page), url


async def test_errors_stand_in_the_frame_of_the_other_pages() -> None:
    def broken(request: Any) -> Any:
        raise ZeroDivisionError("A secret")

    class Site(AdminSite):
        def get_urls(self) -> Any:
            return [path("broken/", self.admin_view(broken)), *super().get_urls()]

    await user("ada", "view_label")
    site = Site()
    site.register([Album, Label])
    async with administering(site=site) as http:
        for url, status in [
            ("records/album/", 403),
            ("nowhere/", 404),
            ("records/label/?albums__artist__name=x", 400),
        ]:
            response = await http.get(f"/admin/{url}")
            assert response.status_code == status, url
            # The sidebar and the breadcrumbs are there.
            assert 'href="/admin/records/label/"' in response.text
            assert f'<span class="status">{status}</span>' in response.text
        response = await http.get("/admin/broken/")
        assert response.status_code == 500
        assert "vinyl/admin.css" in response.text
        assert "secret" not in response.text
        # Those who may not be there see the page for logging in.
        await http.post("/admin/logout/")
        assert (await http.get("/admin/nowhere/")).status_code == 302


async def test_the_static_files_of_the_pages_are_found() -> None:
    await superuser()
    async with administering(DEBUG=True) as http:
        page = (await http.get("/admin/")).text
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert len(files) >= 3
        for file in files:
            assert (await http.get(file)).status_code == 200, file


class DjangosAlbumAdmin(djangos.ModelAdmin):
    """As an existing project has it."""

    list_display = ("title", "label")

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).filter(year__lt=2000)


async def test_registrations_for_djangos_admin_serve_unchanged() -> None:
    assert isinstance(djangos.site, AdminSite)
    assert djangos.site is admin.site
    assert apps.is_installed("django.contrib.admin")
    # Those of django.contrib.auth are found by themselves.
    assert djangos.site.is_registered(Group)
    await superuser()
    await an_album()
    await an_album(title="Too new", year=2020)
    djangos.site.register(Album, DjangosAlbumAdmin)
    try:
        async with administering(site=djangos.site) as http:
            page = text(await http.get("/admin/records/album/"))
            assert "Pastel Blues" in page
            assert "Too new" not in page
            users = await http.get("/admin/auth/user/")
            assert "ada" in text(users)
            added = await http.post(
                "/admin/auth/user/add/",
                data={
                    "username": "bob",
                    "usable_password": "true",
                    "password1": "Sinnerman-1965",
                    "password2": "Sinnerman-1965",
                },
            )
            bob = await User.objects.get(username="bob")
            assert added.headers["location"] == f"/admin/auth/user/{bob.pk}/change/"
            page = text(await http.get(f"/admin/auth/user/{bob.pk}/change/"))
            assert "Permissions" in page
            page = text(await http.get(f"/admin/auth/user/{bob.pk}/password/"))
            assert "Change password" in page
            set_password = {
                "usable_password": "true",
                "password1": "Pastel-Blues-65",
                "password2": "Pastel-Blues-65",
                "set-password": "1",
            }
            url = f"/admin/auth/user/{bob.pk}/password/"
            changed = await http.post(url, data=set_password)
            assert changed.status_code == 302
            await bob.refresh_from_db()
            assert await run(bob.check_password, "Pastel-Blues-65")
            none = {"usable_password": "false", "unset-password": "1"}
            assert (await http.post(url, data=none)).status_code == 302
            await bob.refresh_from_db()
            assert not bob.has_usable_password()
            assert text(await http.get("/admin/auth/user/add/"))
    finally:
        djangos.site.unregister(Album)


async def test_a_site_may_have_pages_of_its_own_in_both_ways_of_writing() -> None:
    class Site(AdminSite):
        def get_urls(self) -> Any:
            return [
                path("plain/", self.admin_view(plain)),
                path("native/", self.admin_view(native)),
                *super().get_urls(),
            ]

    def plain(request: Any) -> Any:
        return PlainTextResponse(f"{Album.objects.count()} {request.user}")

    async def native(request: Any) -> Any:
        return PlainTextResponse(f"{await Album.objects.count()}")

    await superuser()
    await an_album()
    async with administering(None, site=Site()) as http:
        assert (await http.get("/admin/native/")).status_code == 302
        await log_in(http, "ada")
        assert text(await http.get("/admin/plain/")) == "1 ada"
        response = await http.get("/admin/native/")
        assert response.text == "1"
        assert "no-store" in response.headers["cache-control"]


async def test_a_second_site_links_to_its_own_pages() -> None:
    await superuser()
    other = AdminSite(name="other")
    other.register(Album, AlbumAdmin)
    async with administering("ada", path("other/", other.urls)) as http:
        page = (await http.get("/other/")).text
        assert "/other/records/album/" in page
        assert "/admin/" not in page
        page = (await http.get("/other/records/album/")).text
        assert "/other/records/album/add/" in page
        assert 'href="/admin/' not in page
