"""Tabs of a change form: which there are, and which one is open."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import re

import pytest

from tests.records.models import Album, Track
from tests.web.admin.administering import administering, an_album, superuser
from vinyl.web.admin import AdminSite, ModelAdmin, TabularInline

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TrackInline(TabularInline):
    model = Track
    extra = 0
    classes = ["tab"]


class AlbumAdmin(ModelAdmin):
    inlines = [TrackInline]
    raw_id_fields = ["artist"]
    fieldsets = [
        ("Sound", {"fields": ["notes"], "classes": ["tab", "wide"]}),
        (None, {"fields": ["title"]}),
        (None, {"fields": ["artist", ("year", "released")], "classes": ["tab"]}),
    ]


site = AdminSite()
site.register(Album, AlbumAdmin)


def tabs_of(page: str) -> list[tuple[str, str]]:
    """The targets and texts of the links to the tabs."""
    nav = re.search(r'<nav class="tabs".*?</nav>', page, re.DOTALL)
    assert nav is not None
    links = re.findall(r'<a href="#([^"]+)"[^>]*>(.*?)</a>', nav[0], re.DOTALL)
    return [(to, " ".join(re.sub("<[^>]+>", " ", text).split())) for to, text in links]


def current(page: str) -> list[str]:
    return re.findall(r'class="tab-panel current" id="([^"]+)"', page)


async def test_fieldsets_and_inlines_are_behind_tabs_and_others_before_them() -> None:
    await superuser()
    album = await an_album()
    async with administering(site=site) as http:
        page = (await http.get(f"/admin/records/album/{album.pk}/change/")).text
    assert tabs_of(page) == [
        ("fieldset-0", "Sound"),
        ("fieldset-2", "General"),
        ("inline-0", "Tracks"),
    ]
    assert current(page) == ["fieldset-0"]
    assert page.index('name="title"') < page.index('class="tabs"')
    assert page.index('class="tabs"') < page.index('name="notes"')
    # Each has its panel.
    for target, _ in tabs_of(page):
        assert page.count(f'id="{target}"') == 1


async def test_the_first_tab_with_errors_is_open_and_says_how_many() -> None:
    await superuser()
    album = await an_album()
    data = {
        "title": "",
        "notes": "x",
        "artist": "",
        "year": "x",
        "released": "x",
        "tracks-TOTAL_FORMS": "1",
        "tracks-INITIAL_FORMS": "0",
        "tracks-0-title": "x",
        "tracks-0-position": "x",
    }
    async with administering(site=site) as http:
        url = f"/admin/records/album/{album.pk}/change/"
        page = (await http.post(url, data=data)).text
    assert current(page) == ["fieldset-2"]
    assert tabs_of(page) == [
        ("fieldset-0", "Sound"),
        ("fieldset-2", "General 3 errors"),
        ("inline-0", "Tracks 1 errors"),
    ]


async def test_a_form_without_tabs_has_no_script_for_them() -> None:
    await superuser()
    plain = AdminSite()
    plain.register(Album)
    async with administering(site=plain) as http:
        page = (await http.get("/admin/records/album/add/")).text
    assert "tabs" not in page
