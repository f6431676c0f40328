"""
Who may do what: each URL of a site, for each kind of visitor. A URL that has no line in
`PAGES` fails, so that none is added without a decision.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.records.models import Album, Track
from tests.web.admin.administering import administering, an_album, user
from vinyl.orm import run
from vinyl.web.admin import AdminSite, ModelAdmin, TabularInline, action

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TrackInline(TabularInline):
    model = Track
    extra = 0


class AlbumAdmin(ModelAdmin):
    fields = ["title", "artist"]
    save_as = True
    search_fields = ["title"]
    inlines = [TrackInline]
    actions = ["shout"]

    @action(permissions=["change"])
    async def shout(self, request: Any, queryset: Any) -> None:
        async for album in queryset:
            album.title = album.title.upper()
            await album.save()


class OwnAdmin(AlbumAdmin):
    """Only the first album may be changed and deleted."""

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or obj.title == "Own")

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.title == "Own")


site = AdminSite()
site.register(Album, AlbumAdmin)
own_site = AdminSite()
own_site.register(Album, OwnAdmin)

LOGIN = 302

# The answers to GET, in the order of ROLES. Anonymous visitors and those outside the
# staff are always led to the page for logging in.
ROLES: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "view": ("view_album",),
    "add": ("add_album",),
    "change": ("change_album",),
    "delete": ("delete_album",),
}
ALL = (200, 200, 200, 200, 200)
PAGES: dict[str, tuple[int, ...]] = {
    "index": ALL,
    "search": ALL,
    "password_change": ALL,
    "password_change_done": ALL,
    "jsi18n": ALL,
    # Only by POST.
    "logout": (405,) * 5,
    "preferences": (405,) * 5,
    # Without the names of a field there is nothing to complete.
    "autocomplete": (403,) * 5,
    # Albums have no page on the site.
    "view_on_site": (404,) * 5,
    "app_list": (404, 200, 200, 200, 200),
    "": (404,) * 5,
    "changelist": (403, 200, 403, 200, 403),
    "export": (403, 200, 403, 200, 403),
    # Without `import_fields` nobody may.
    "import": (403,) * 5,
    "add": (403, 403, 200, 403, 403),
    "change": (403, 200, 403, 200, 403),
    "history": (403, 200, 403, 200, 403),
    "delete": (403, 403, 403, 403, 200),
    # Leads to the page for changing, which decides.
    "album": (302,) * 5,
}


def endpoints(patterns: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """The names of what *patterns* lead to, as in PAGES, and their routes."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from endpoints(pattern.url_patterns, route)
        elif pattern.name is None and route.startswith("records/"):
            yield "album", route
        else:
            yield (pattern.name or "").removeprefix("records_album_"), route


def url_of(route: str, album: Any) -> str:
    """A URL that *route* matches."""
    route = re.sub(r"\(\?P<app_label>(\w+)\)", r"\1", route)
    route = route.replace("(?P<url>.*)", "nowhere/").strip("^$")
    route = route.replace("<path:content_type_id>", "1")
    route = route.replace("<str:kind>", "csv")
    return "/admin/" + route.replace("<path:object_id>", str(album.pk))


URLS = sorted({(name, route) for name, route in endpoints(site.get_urls())})


def test_every_endpoint_has_its_line() -> None:
    assert {name for name, _ in URLS} - {"login"} == PAGES.keys()


@pytest.mark.parametrize("name", [None, "bob"], ids=["anonymous", "not of the staff"])
async def test_strangers_are_led_to_the_page_for_logging_in(name: str | None) -> None:
    album = await an_album()
    if name:
        made = await user(name, is_staff=False)
    async with administering(None, site=site) as http:
        if name:
            await http.force_login(made)
        for page, route in URLS:
            url = url_of(route, album)
            for method in ("GET", "POST"):
                response = await http.request(method, url, data={"post": "yes"})
                if page == "login":
                    assert response.status_code == 200
                elif page == "logout":
                    assert response.headers["location"] == "/admin/"
                elif method == "POST":
                    # The session may have expired: the page keeps what was posted.
                    assert response.status_code == 403, (method, url)
                    assert 'name="_waiting_post"' in response.text
                    assert 'action="/admin/login/"' in response.text
                else:
                    assert response.status_code == 302, (method, url)
                    target = response.headers["location"]
                    assert target.startswith("/admin/login/?next="), (method, url)
    assert await Album.objects.count() == 1


@pytest.mark.parametrize("role", ROLES)
async def test_staff_sees_what_its_rights_allow(role: str) -> None:
    album = await an_album()
    await user("ada", *ROLES[role])
    column = [*ROLES].index(role)
    async with administering("ada", site=site) as http:
        for page, route in URLS:
            if page != "login":
                status = (await http.get(url_of(route, album))).status_code
                assert (page, status) == (page, PAGES[page][column])


async def test_a_superuser_sees_everything() -> None:
    album = await an_album()
    await user("ada", is_superuser=True)
    async with administering("ada", site=site) as http:
        for page, route in URLS:
            if page != "login":
                status = (await http.get(url_of(route, album))).status_code
                # What some of the others may see, or what nobody does.
                assert (page, status) == (page, min(PAGES[page]))


FORM = {"title": "New", "tracks-TOTAL_FORMS": "0", "tracks-INITIAL_FORMS": "0"}


async def deeds(http: httpx.AsyncClient, album: Any) -> set[str]:
    """Try everything that changes something; return what happened."""
    one = f"/admin/records/album/{album.pk}"
    done: set[str] = set()

    async def titles() -> list[str]:
        albums = await run(list, Album.objects.order_by("pk"))
        return [album.title for album in albums]

    before = await titles()
    form = {**FORM, "artist": album.artist_id}

    async def attempt(name: str, url: str, data: dict[str, Any]) -> None:
        response = await http.post(url, data=data)
        assert response.status_code in (200, 302, 403), (name, response.status_code)
        if (after := await titles()) != before:
            done.add(name)
            assert response.status_code == 302
        for extra in after[len(before) :]:
            await run(Album.objects.filter(title=extra).delete)
        if len(after) < len(before):
            await run(Album.objects.bulk_create, [album])
        await run(Album.objects.filter(pk=album.pk).update, title=album.title)

    await attempt("add", "/admin/records/album/add/", form)
    await attempt("change", f"{one}/change/", form)
    await attempt("save as", f"{one}/change/", {**form, "_saveasnew": "1"})
    await attempt("delete", f"{one}/delete/", {"post": "yes"})
    chosen = {"index": "0", "_selected_action": album.pk, "post": "yes"}
    for name in ("delete_selected", "shout"):
        await attempt(name, "/admin/records/album/", {**chosen, "action": name})
    return done


DEEDS: dict[str, set[str]] = {
    "nothing": set(),
    "view": set(),
    # Saving as a new one is adding.
    "add": {"add", "save as"},
    "change": {"change", "shout"},
    "delete": {"delete"},
}


@pytest.mark.parametrize("role", ROLES)
async def test_staff_does_what_its_rights_allow(role: str) -> None:
    album = await an_album(title="Own")
    await user("ada", *ROLES[role])
    async with administering("ada", site=site) as http:
        assert await deeds(http, album) == DEEDS[role]


async def test_a_list_with_a_right_to_delete_offers_the_action() -> None:
    album = await an_album(title="Own")
    await user("ada", "view_album", "delete_album")
    async with administering("ada", site=site) as http:
        assert await deeds(http, album) == {"delete", "delete_selected"}


async def test_rights_for_one_object_hold_for_this_one() -> None:
    own, other = await an_album(title="Own"), await an_album(title="Other")
    await user("ada", is_superuser=True)
    async with administering("ada", site=own_site) as http:
        assert {"change", "save as", "delete", "shout"} <= await deeds(http, own)
        for page, status in [("change", 200), ("history", 200), ("delete", 403)]:
            url = f"/admin/records/album/{other.pk}/{page}/"
            assert (await http.get(url)).status_code == status
            if page != "history":
                assert (await http.post(url, data=FORM)).status_code == 403
    await run(other.refresh_from_db)
    assert other.title == "Other"
