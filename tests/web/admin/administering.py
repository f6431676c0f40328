"""A site with the models of tests/records, served to somebody who is logged in."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx
from django.contrib.auth.models import Permission, User

from tests.records.models import Album, Artist, Biography, Genre, Label, Review, Track
from tests.web.serving import serving
from vinyl.web import path
from vinyl.web.admin import AdminSite, ModelAdmin, TabularInline, display

MIDDLEWARE = [
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
    "vinyl.web.csrf.CSRFMiddleware",
]


class TrackInline(TabularInline):
    model = Track
    extra = 1


class AlbumAdmin(ModelAdmin):
    list_display = ["title", "artist", "label", "year", "is_old", "artist__name"]
    list_filter = ["year", "label", "released"]
    search_fields = ["title", "artist__name"]
    list_per_page = 10
    date_hierarchy = "released"
    raw_id_fields = ["artist"]
    readonly_fields = ["initials"]
    inlines = [TrackInline]
    fieldsets = [
        (None, {"fields": ["title", ("year", "released"), "artist", "label"]}),
        ("More", {"fields": ["notes", "genres", "initials"], "classes": ["collapse"]}),
    ]

    @display(boolean=True, description="Old?", ordering="year")
    def is_old(self, album: Any) -> bool:
        return album.year < 1960

    @display(description="Initials")
    def initials(self, album: Any) -> str:
        return "".join(word[0] for word in album.title.split())


class ArtistAdmin(ModelAdmin):
    search_fields = ["name"]


def site_of_records() -> AdminSite:
    site = AdminSite()
    site.register(Album, AlbumAdmin)
    site.register(Artist, ArtistAdmin)
    site.register([Biography, Genre, Label, Review, Track])
    return site


site = site_of_records()


async def user(name: str = "ada", *permissions: str, **fields: Any) -> User:
    """A user of the staff whose password is "secret"."""
    fields = {"is_staff": True, **fields}
    made = await User.objects.create_user(name, password="secret", **fields)
    for codename in permissions:
        made_permission = await Permission.objects.get(
            codename=codename, content_type__app_label="records"
        )
        await made.user_permissions.add(made_permission)
    return made


async def superuser(name: str = "ada") -> User:
    return await user(name, is_superuser=True)


@asynccontextmanager
async def administering(
    name: str | None = "ada", *urlpatterns: Any, site: AdminSite = site, **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the site, logged in as the user *name* unless it is None."""
    options = {"MIDDLEWARE": MIDDLEWARE, **options}
    urls = [path("admin/", site.urls), *urlpatterns]
    async with serving(*urls, **options) as http:
        if name is not None:
            await log_in(http, name)
        yield http


async def log_in(http: httpx.AsyncClient, name: str, password: str = "secret") -> Any:
    data = {"username": name, "password": password, "next": "/admin/"}
    response = await http.post("/admin/login/", data=data)
    assert response.headers["location"] == "/admin/", response.text
    return response


def text(response: httpx.Response) -> str:
    """What a reader of the page sees."""
    assert response.status_code == 200, (response.status_code, response.text[:2000])
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


async def an_album(**fields: Any) -> Album:
    artist, _ = await Artist.objects.get_or_create(name="Nina Simone")
    return await Album.objects.create(
        **{"title": "Pastel Blues", "artist": artist, **fields}
    )
