"""Lost updates: a stale form shows both versions and saves nothing."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
import json
import re
from html import unescape
from typing import Any

import pytest
from django.db.models import Count, Window
from django.db.models.functions import RowNumber

from tests.records.models import Album, Artist, Genre, Label, Track
from tests.web.admin.administering import TrackInline, administering, superuser, text
from tests.web.admin.test_options import values
from vinyl.orm import transaction
from vinyl.web.admin import AdminSite, ModelAdmin
from vinyl.web.admin.conflicts import locked

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"
CHANGED = "Somebody else has changed this meanwhile."


class AlbumAdmin(ModelAdmin):
    fields = ["title", "year", "label", "genres"]
    inlines = [TrackInline]


def site_with(**options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Album, AlbumAdmin, **options)
    site.register([Artist, Genre, Label, Track])
    return site


async def an_album() -> Album:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    label = await Label.objects.create(name="Philips")
    await Label.objects.create(name="Verve")
    album = await Album.objects.create(title="Pastel", artist=artist, label=label)
    for name in ("Jazz", "Soul"):
        await Genre.objects.create(name=name)
    await album.genres.add(await Genre.objects.get(name="Jazz"))
    for position, title in enumerate(("Sinnerman", "Strange Fruit")):
        await Track.objects.create(title=title, album=album, position=position)
    return album


def form_of(page: Any) -> dict[str, Any]:
    """What a browser sends for the form of a page, without its buttons."""
    data: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", page.text):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        boxes = attributes.get("type") in ("checkbox", "radio")
        if "name" in attributes and (not boxes or " checked" in tag):
            value = attributes.get("value", "on" if boxes else "")
            name = unescape(attributes["name"])
            data.setdefault(name, []).append(unescape(value))
    for name, inside in re.findall(
        r'<select name="([^"]*)".*?>(.*?)</select>', page.text, re.DOTALL
    ):
        data[name] = re.findall(r'value="([^"]*)" selected', inside)
    for name, inside in re.findall(
        r'<textarea name="([^"]*)"[^>]*>(.*?)</textarea>', page.text, re.DOTALL
    ):
        data[name] = unescape(inside).removeprefix("\n")
    return {name: value for name, value in data.items() if "__prefix__" not in name}


def rows(page: Any) -> list[list[str]]:
    """The table of a conflict: object and field, yours, theirs, whether it is taken."""
    [table] = re.findall(r'<table class="conflicts">.*?</table>', page.text, re.DOTALL)
    found = []
    for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)[1:]:
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        words = [" ".join(re.sub("<[^>]+>", " ", cell).split()) for cell in cells[:3]]
        found.append([*words, "theirs" if " checked" in row else "yours"])
    return found


async def test_a_stale_form_shows_both_versions_and_saves_when_told_to() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with()) as http:
        mine = form_of(await http.get(url))
        soul = await Genre.objects.get(name="Soul")
        verve = await Label.objects.get(name="Verve")
        await Album.objects.filter(pk=album.pk).update(
            title="Pastel Blues", year=1999, label=verve
        )
        await album.genres.set([soul])
        mine |= {"title": "Pastel Moods", "year": "1966"}
        page = await http.post(url, data=mine)
        assert CHANGED in text(page)
        assert rows(page) == [
            ["Title", "Pastel Moods", "Pastel Blues", "yours"],
            ["Year", "1966", "1999", "yours"],
            # What I have left alone is proposed as it is now.
            ["Label", "Philips", "Verve", "theirs"],
            ["Genres", "Jazz", "Soul", "theirs"],
        ]
        await album.refresh_from_db()
        assert (album.title, album.year) == ("Pastel Blues", 1999)
        # My title, their year; and what is proposed.
        again = form_of(page)
        assert again["title"] == ["Pastel Moods"]
        assert again["_theirs"] == ["label", "genres"]
        again["_theirs"] += ["year"]
        response = await http.post(url, data=again)
        assert response.headers["location"] == LIST, text(response)
    await album.refresh_from_db()
    assert (album.title, album.year, album.label_id) == ("Pastel Moods", 1999, verve.pk)
    assert [genre async for genre in album.genres.all()] == [soul]


async def test_a_form_with_errors_keeps_the_version_that_it_was_made_from() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with()) as http:
        mine = form_of(await http.get(url))
        mine["title"] = ""
        page = await http.post(url, data=mine)
        assert "This field is required." in text(page)
        await Album.objects.filter(pk=album.pk).update(title="Theirs")
        mine = form_of(page)
        mine["title"] = "Mine"
        page = await http.post(url, data=mine)
        assert rows(page) == [["Title", "Mine", "Theirs", "yours"]]
        # A third version in between is one more conflict.
        mine = form_of(page)
        await Album.objects.filter(pk=album.pk).update(title="Third")
        page = await http.post(url, data=mine)
        assert rows(page) == [["Title", "Mine", "Third", "yours"]]
        assert (await http.post(url, data=form_of(page))).status_code == 302
    await album.refresh_from_db()
    assert album.title == "Mine"


async def test_a_choice_of_theirs_survives_other_errors_and_searches() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with()) as http:
        mine = form_of(await http.get(url)) | {"title": "Mine"}
        await Album.objects.filter(pk=album.pk).update(year=1999)
        mine = form_of(await http.post(url, data=mine))
        assert mine["_theirs"] == ["year"]
        # Without the field, or on the way back from a search or a login.
        for more in ({"title": ""}, {"_held": "1"}):
            page = await http.post(url, data=mine | more)
            assert [row[3] for row in rows(page)] == ["theirs"]
            mine = form_of(page) | {"title": "Mine"}
            assert mine["_theirs"] == ["year"]
        assert (await http.post(url, data=mine)).status_code == 302
    await album.refresh_from_db()
    assert (album.title, album.year) == ("Mine", 1999)


async def test_the_same_values_are_no_conflict() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with()) as http:
        mine = form_of(await http.get(url))
        mine["title"] = "Pastel Blues"
        for _ in range(2):
            assert (await http.post(url, data=mine)).status_code == 302
        # Nor is a field that the form does not have.
        mine = form_of(await http.get(url))
        await Album.objects.filter(pk=album.pk).update(notes="Elsewhere")
        assert (await http.post(url, data=mine)).status_code == 302
    await album.refresh_from_db()
    assert album.notes == "Elsewhere"


async def test_rows_of_inlines_conflict() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with()) as http:
        mine = form_of(await http.get(url))
        await Track.objects.filter(title="Sinnerman").update(title="Sinner Man")
        mine["tracks-1-title"] = "Be My Husband"
        page = await http.post(url, data=mine)
        assert rows(page) == [
            ["Sinner Man: Title", "Sinnerman", "Sinner Man", "theirs"]
        ]
        assert await Track.objects.filter(title="Strange Fruit").exists()
        assert (await http.post(url, data=form_of(page))).status_code == 302
        titles = {track.title async for track in Track.objects.all()}
        assert titles == {"Sinner Man", "Be My Husband"}
        # One that has been deleted can be removed from the form.
        mine = form_of(await http.get(url))
        await Track.objects.filter(title="Sinner Man").delete()
        page = await http.post(url, data=mine)
        assert page.status_code == 200
        mine = form_of(page) | {"tracks-0-DELETE": "on"}
        response = await http.post(url, data=mine)
        assert response.status_code == 302, text(response)
    assert await Track.objects.count() == 1


async def test_rows_of_a_list_conflict() -> None:
    album = await an_album()
    other = await Album.objects.create(
        title="Wild", artist=await Artist.objects.get(), year=1966
    )
    site = site_with(list_display=["title", "year"], list_editable=["year"])
    async with administering(site=site) as http:
        mine = form_of(await http.get(LIST)) | {"_save": "1"}
        await Album.objects.filter(pk=other.pk).update(year=2000)
        mine["form-0-year"], mine["form-1-year"] = "1964", "1967"
        page = await http.post(LIST, data=mine)
        assert rows(page) == [["Wild by Nina Simone: Year", "1967", "2000", "yours"]]
        await album.refresh_from_db()
        assert album.year == 1965
        again = form_of(page) | {"_save": "1"}
        assert (await http.post(LIST, data=again)).status_code == 302
        await album.refresh_from_db()
        await other.refresh_from_db()
        assert (album.year, other.year) == (1964, 1967)
        # A row that has been deleted does not shift the others.
        mine = form_of(await http.get(LIST)) | {"_save": "1", "form-1-year": "1968"}
        await album.delete()
        page = await http.post(LIST, data=mine)
        assert values(page)["form-1-year"] == "1968"
        assert re.search(r"Wild.*?form-1-year", page.text, re.DOTALL)


async def test_of_two_at_once_one_is_told() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    options = {"list_display": ["title", "year"], "list_editable": ["year"]}
    async with administering(site=site_with(**options)) as http:
        for attempt in range(3):
            form = form_of(await http.get(url))
            listed = form_of(await http.get(LIST)) | {"_save": "1"}
            posts = [
                http.post(url, data=form | {"year": f"19{attempt}{i}"})
                for i in range(3)
            ]
            posts.append(http.post(LIST, data=listed | {"form-0-year": "1888"}))
            pages = await asyncio.gather(*posts)
            statuses = sorted(page.status_code for page in pages)
            assert statuses == [200, 200, 200, 302]
            for page in pages:
                assert page.status_code == 302 or CHANGED in text(page)


async def test_what_was_typed_for_a_deleted_object_can_be_added() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    fields = ["title", "year", "artist", "label", "genres"]
    async with administering(site=site_with(fields=fields)) as http:
        mine = form_of(await http.get(url))
        mine["title"] = "Typed"
        await album.delete()
        page = await http.post(url, data=mine)
        assert "Somebody else has deleted this meanwhile." in text(page)
        assert 'action="/admin/records/album/add/' in page.text
        again = form_of(page)
        assert again["title"] == ["Typed"]
        assert again["tracks-1-title"] == ["Strange Fruit"]
        response = await http.post(f"{LIST}add/", data=again)
        assert response.status_code == 302, text(response)
    added = await Album.objects.get()
    assert added.title == "Typed"
    assert await added.tracks.count() == 2


async def test_what_was_typed_is_shown_to_those_who_may_not_add() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"

    class NoAdd(AlbumAdmin):
        def has_add_permission(self, request: Any) -> bool:
            return False

    site = AdminSite()
    site.register(Album, NoAdd)
    async with administering(site=site) as http:
        mine = form_of(await http.get(url)) | {"title": "<b>Typed</b>"}
        await album.delete()
        page = await http.post(url, data=mine)
        assert page.status_code == 404
        assert "&lt;b&gt;Typed&lt;/b&gt;" in page.text


async def test_a_project_can_switch_it_off() -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with(detect_conflicts=False)) as http:
        mine = form_of(await http.get(url))
        assert "tracks-0-title" not in mine.get("_version", "")
        await Album.objects.filter(pk=album.pk).update(title="Theirs")
        assert (await http.post(url, data=mine)).status_code == 302
    await album.refresh_from_db()
    assert album.title == "Pastel"


@pytest.mark.parametrize("version", ["x", "[]", "1", '{"": 1}', "[" * 9999, "null"])
async def test_a_version_that_was_tampered_with_is_refused(version: str) -> None:
    album = await an_album()
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with()) as http:
        mine = form_of(await http.get(url)) | {"_version": version, "title": "Mine"}
        assert (await http.post(url, data=mine)).status_code == 400
    await album.refresh_from_db()
    assert album.title == "Pastel"


async def test_the_version_of_another_object_is_no_pass() -> None:
    album = await an_album()
    other = await Album.objects.create(
        title="Pastel", artist=await Artist.objects.get()
    )
    url = f"{LIST}{album.pk}/change/"
    async with administering(site=site_with()) as http:
        mine = form_of(await http.get(url)) | {"title": "Mine"}
        theirs = form_of(await http.get(f"{LIST}{other.pk}/change/"))
        mine["_version"] = theirs["_version"]
        assert CHANGED in text(await http.post(url, data=mine))
        # It tells nothing of the values.
        [version] = mine["_version"]
        digests = json.loads(version)[""]
        assert all(re.fullmatch("[0-9a-f]{12}", one) for one in digests.values())


async def test_rows_that_cannot_be_locked_are_read_as_they_are() -> None:
    album = await an_album()
    every = Album.objects.order_by("pk")
    async with transaction.atomic():
        for queryset in (
            every,
            every.distinct(),
            every.order_by().union(every.order_by()),
            every.annotate(number=Count("tracks")),
            every.annotate(number=Window(RowNumber())),
            every[:5],
        ):
            assert await locked(queryset) == [album]
