"""Posts that find an expired session, or no database."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, func-returns-value, misc"

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist, Genre, Label
from tests.web.admin.administering import (
    MIDDLEWARE,
    ArtistAdmin,
    administering,
    an_album,
    log_in,
    site_of_records,
    superuser,
    text,
    user,
)
from tests.web.admin.test_conflicts import form_of
from tests.web.admin.test_options import NO_TRACKS, posted, values
from vinyl.orm import connection, transaction
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

ADD = "/admin/records/album/add/"


async def some() -> tuple[Artist, Label, Genre]:
    return (
        await Artist.objects.create(name="Nina Simone"),
        await Label.objects.create(name="Philips"),
        await Genre.objects.create(name="Jazz"),
    )


async def expire(http: Any) -> None:
    await Session.objects.all().delete()


async def log_in_again(http: Any, page: Any, name: str = "ada") -> Any:
    data = values(page) | {"username": name, "password": "secret"}
    return await http.post("/admin/login/", data=data)


async def test_what_was_typed_survives_the_login_and_is_not_saved_by_it() -> None:
    await superuser()
    artist, label, genre = await some()
    await Genre.objects.create(name="Soul")
    async with administering() as http:
        author = form_of(await http.get(ADD))["_author"]
        data = posted(artist, label=label.pk, title="Typed <b>", notes="", year="")
        data |= {"genres": [str(genre.pk)], "_author": author, "_save": "1"}
        await expire(http)
        page = await http.post(ADD, data=data)
        assert page.status_code == 403
        assert "Your session has expired" in page.text
        # A wrong password does not lose it.
        wrong = values(page) | {"username": "ada", "password": "wrong"}
        page = await http.post("/admin/login/", data=wrong)
        assert "Your session has expired" in text(page)
        page = await log_in_again(http, page)
        assert "You are logged in again" in text(page)
        assert "Back to the form" in text(page)
        assert await Album.objects.count() == 0
        page = await http.post(ADD, data=form_of(page))
        assert "Nothing has been saved yet." in text(page)
        assert "This field is required." not in text(page)
        form = form_of(page)
        assert form["title"] == ["Typed <b>"]
        assert form["genres"] == [str(genre.pk)]
        form |= {"year": "1965", "notes": "x", "_save": "1"}
        response = await http.post(ADD, data=form)
        assert response.status_code == 302, text(response)
    album = await Album.objects.get()
    assert album.title == "Typed <b>"


async def test_other_posts_are_sent_again_by_hand() -> None:
    await superuser()
    label = (await some())[1]
    url = f"/admin/records/label/{label.pk}/delete/"
    async with administering() as http:
        await expire(http)
        page = await log_in_again(http, await http.post(url, data={"post": "yes"}))
        assert "Send it again" in text(page)
        assert await Label.objects.count() == 1
        response = await http.post(url, data=form_of(page))
        assert response.status_code == 302
    assert await Label.objects.count() == 0


async def test_another_user_does_not_get_it() -> None:
    await superuser()
    await superuser("bob")
    artist, label, _ = await some()
    async with administering() as http:
        author = form_of(await http.get(ADD))["_author"]
        data = posted(artist, label=label.pk, title="Secret", _author=author)
        await expire(http)
        page = await log_in_again(http, await http.post(ADD, data=data), "bob")
        assert "filled in by somebody else" in text(page)
        assert "Secret" not in page.text


async def test_a_form_of_somebody_else_waits_for_its_author() -> None:
    """In another tab somebody else has logged in meanwhile."""
    await superuser()
    await superuser("bob")
    artist, label, genre = await some()
    async with administering() as http:
        author = form_of(await http.get(ADD))["_author"]
        data = posted(artist, label=label.pk, title="Typed", _author=author)
        data["genres"] = [str(genre.pk)]
        await log_in(http, "bob")
        page = await http.post(ADD, data=data)
        assert page.status_code == 403
        assert "filled in by somebody else" in page.text
        assert await Album.objects.count() == 0
        # The one who is logged in does not get it, however often.
        assert "Typed" not in (await log_in_again(http, page, "bob")).text
        page = await log_in_again(http, page)
        page = await http.post(ADD, data=form_of(page))
        response = await http.post(ADD, data=form_of(page) | {"_save": "1"})
        assert response.status_code == 302, text(response)
    assert (await Album.objects.get()).title == "Typed"


async def test_rows_of_a_list_wait_for_their_author_too() -> None:
    await superuser()
    await superuser("bob")
    album = await an_album(year=1965)
    site = AdminSite()
    site.register(Album, list_display=["title", "year"], list_editable=["year"])
    async with administering(site=site) as http:
        url = "/admin/records/album/"
        data = form_of(await http.get(url)) | {"form-0-year": "1970", "_save": "1"}
        await log_in(http, "bob")
        page = await http.post(url, data=data)
        assert "filled in by somebody else" in page.text
        await album.refresh_from_db()
        assert album.year == 1965
        page = await log_in_again(http, page)
        assert (await http.post(url, data=form_of(page))).status_code == 302
    await album.refresh_from_db()
    assert album.year == 1970


async def test_who_is_not_of_the_staff_any_more_can_log_in_as_somebody_who_is() -> None:
    ada = await superuser()
    artist, label, genre = await some()
    async with administering() as http:
        author = form_of(await http.get(ADD))["_author"]
        data = posted(artist, label=label.pk, title="Typed", _author=author)
        data["genres"] = [str(genre.pk)]
        ada.is_staff = False
        await ada.save()
        page = await http.post(ADD, data=data)
        assert page.status_code == 403
        assert "authenticated as ada, but are not authorized" in page.text
        assert await Album.objects.count() == 0
        page = await log_in_again(http, page)
        assert "Please enter the correct username" in text(page)
        ada.is_staff = True
        await ada.save()
        page = await log_in_again(http, page)
        page = await http.post(ADD, data=form_of(page))
        response = await http.post(ADD, data=form_of(page) | {"_save": "1"})
        assert response.status_code == 302, text(response)
    assert (await Album.objects.get()).title == "Typed"


async def test_what_was_typed_without_permission_can_be_sent_again() -> None:
    bob = await user("bob", "add_album")
    artist, label, genre = await some()
    async with administering("bob") as http:
        author = form_of(await http.get(ADD))["_author"]
        data = posted(artist, label=label.pk, title="Typed", _author=author)
        data["genres"] = [str(genre.pk)]
        allowed = [permission async for permission in bob.user_permissions.all()]
        await bob.user_permissions.clear()
        page = await http.post(ADD, data=data)
        assert page.status_code == 403
        assert "You don’t have permission" in page.text
        assert form_of(page)["title"] == ["Typed"]
        await bob.user_permissions.set(allowed)
        response = await http.post(ADD, data=form_of(page))
        assert response.status_code == 302, text(response)
        # What has no form is refused as ever.
        url = f"/admin/records/album/{(await Album.objects.get()).pk}/delete/"
        page = await http.post(url, data={"post": "yes"})
        assert page.status_code == 403
        assert 'name="post"' not in page.text
    assert (await Album.objects.get()).title == "Typed"


async def test_a_site_for_everybody_asks_nobody_to_log_in() -> None:
    class Open(AdminSite):
        def has_permission(self, request: Any) -> bool:
            return True

    class Anybodys(ModelAdmin):
        def has_add_permission(self, request: Any) -> bool:
            return True

        def log_addition(self, request: Any, obj: Any, message: Any) -> Any:
            """Without a user there is no log."""

    site = Open()
    site.register(Label, Anybodys)
    async with administering(None, site=site) as http:
        response = await http.post("/admin/records/label/add/", data={"name": "Verve"})
        assert response.status_code == 302, response.text
    assert await Label.objects.count() == 1


async def test_passwords_and_files_are_not_kept(tmp_path: Path) -> None:
    await superuser()
    site = site_of_records()
    site.register(User)
    async with administering(site=site) as http:
        await expire(http)
        data = {"username": "eve", "password1": "hush-1965", "password2": "hush-1965"}
        page = await http.post(
            "/admin/auth/user/add/", data=data, files={"file": ("a.txt", b"x")}
        )
        [waiting] = re.findall(r'name="_waiting_post" value="([^"]*)"', page.text)
        assert json.loads(unescape(waiting)) == [
            ["username", "eve"],
            ["_lost_files", "1"],
        ]
        page = await log_in_again(http, page)
        page = await http.post("/admin/auth/user/add/", data=form_of(page))
        assert "Files have to be chosen again." in text(page)


async def test_those_who_may_not_see_the_admin_are_redirected_as_ever() -> None:
    await user("bob", is_staff=False)
    async with administering(None) as http:
        response = await http.post(ADD, data={})
        assert response.headers["location"] == f"/admin/login/?next={ADD}"
        # Nor does a login without the right to the admin get the page.
        page = await http.post(ADD, data={"title": "Typed"})
        page = await log_in_again(http, page, "bob")
        assert "Your session has expired" in text(page)
        assert "logged in again" not in text(page)


@pytest.mark.parametrize("waiting", ["x", "[1]", "{}", "[" * 9999, '[["a"]]'])
async def test_a_waiting_post_that_was_tampered_with_is_a_plain_login(
    waiting: str,
) -> None:
    await superuser()
    async with administering(None) as http:
        data = {"username": "ada", "password": "secret", "_waiting_post": waiting}
        response = await http.post("/admin/login/", data={**data, "next": "/admin/"})
        assert response.headers["location"] == "/admin/"


async def test_what_another_site_has_posted_is_not_kept() -> None:
    """Even without vinyl's middleware: the page's button would send it from here."""
    await superuser()
    cross_site = {"sec-fetch-site": "cross-site"}
    away = AdminSite()
    away.register(Album, LosingTheDatabase)
    for name, site in ((None, site_of_records()), ("ada", away)):
        async with administering(name, site=site, MIDDLEWARE=MIDDLEWARE[:3]) as http:
            page = await http.post(ADD, data={"title": "Forged"}, headers=cross_site)
            assert page.status_code == 403
            assert "Forged" not in page.text


class LosingTheDatabase(ModelAdmin):
    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            super().save_model(request, obj, form, change)
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = ON")
            try:
                with transaction.atomic():
                    super().save_model(request, obj, form, change)
            finally:
                cursor.execute("PRAGMA query_only = OFF")


class Mistaken(ModelAdmin):
    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nothing_like_it")


async def test_what_was_typed_while_the_database_is_away_can_be_sent_again() -> None:
    await superuser()
    artist, label, genre = await some()
    site = AdminSite()
    site.register(Album, LosingTheDatabase)
    async with administering(site=site) as http:
        data = posted(artist, label=label.pk, genres=[genre.pk], title="Typed")
        page = await http.post(ADD, data=data)
        assert page.status_code == 503
        assert page.headers["retry-after"] == "5"
        assert "The database cannot be reached" in page.text
        kept = form_of(page)
        assert kept["title"] == ["Typed"]
        assert kept["genres"] == [str(genre.pk)]
        assert "Traceback" not in page.text
    async with administering() as http:
        response = await http.post(ADD, data=kept | NO_TRACKS)
        assert response.status_code == 302
    assert await Album.objects.count() == 1


async def test_a_mistake_in_a_query_and_a_failure_in_debug_mode_are_errors() -> None:
    await superuser()
    artist, label, genre = await some()
    data = posted(artist, label=label.pk, genres=[genre.pk])
    for options, settings in ((Mistaken, {}), (LosingTheDatabase, {"DEBUG": True})):
        site = AdminSite()
        site.register(Album, options)
        async with administering(site=site, **settings) as http:
            assert (await http.post(ADD, data=data)).status_code == 500


class LosingItWhileSearching(ArtistAdmin):
    def get_search_results(self, request: Any, queryset: Any, term: Any) -> Any:
        # For each row.
        lost = "pg_terminate_backend(pg_backend_pid())"
        condition = RawSQL(lost, [], output_field=BooleanField())
        return queryset.filter(condition), False


@only_postgresql
@pytest.mark.parametrize(
    "path",
    [
        "search/?q=x",
        "records/artist/?q=x",
        "autocomplete/?app_label=records&model_name=album&field_name=artist&term=x",
    ],
)
async def test_a_search_without_a_database_is_an_error_and_not_empty(path: str) -> None:
    await superuser()
    await Artist.objects.create(name="Nina Simone")
    site = AdminSite()
    site.register(Artist, LosingItWhileSearching)
    site.register(Album)
    async with administering(site=site) as http:
        assert (await http.get(f"/admin/{path}")).status_code == 500
