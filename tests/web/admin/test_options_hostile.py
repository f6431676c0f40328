"""Requests to an album that exists, which no page of the admin would send."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from django.contrib.admin.models import LogEntry

from tests.records.models import Album, Booklet, Genre, Label, Track
from tests.web.admin.administering import (
    ArtistAdmin,
    TrackInline,
    administering,
    an_album,
    superuser,
)
from tests.web.http.posting import Page
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

HUGE = "9" * 30
LIST = "/admin/records/album/"


class HostedAdmin(ModelAdmin):
    list_display = ["title", "year", "notes"]
    list_editable = ["year"]
    list_filter = ["year", "label"]
    search_fields = ["title"]
    date_hierarchy = "released"
    readonly_fields = ["notes"]
    raw_id_fields = ["artist"]
    inlines = [TrackInline]

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).exclude(title="Hidden")


class BookletAdmin(ModelAdmin):
    raw_id_fields = ["album"]


def hosted() -> AdminSite:
    site = AdminSite()
    site.register(Album, HostedAdmin)
    site.register(Booklet, BookletAdmin)
    site.register(Album.artist.field.related_model, ArtistAdmin)
    site.register([Genre, Label])
    return site


async def a_whole_album(**fields: Any) -> Album:
    """An album whose form can be saved as it is."""
    album = await an_album(label=await Label.objects.create(name="Verve"), **fields)
    await album.genres.add(await Genre.objects.create(name="Jazz"))
    return album


async def stored() -> list[Any]:
    """What is in the tables."""
    found: list[Any] = [await LogEntry.objects.count()]
    for model in (Album, Track, Booklet, Album.genres.through):
        rows = model._base_manager.order_by("pk").values()
        found.append([row async for row in rows])
    return found


async def opened(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    return dict(Page((await http.get(url)).text).posted)


def changed(form: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """*form* with *changes*; without the fields that are to be None."""
    found = {**form, **changes}
    return {name: value for name, value in found.items() if value is not None}


def forms_of_an_album(track: Track, other: Track) -> dict[str, dict[str, Any]]:
    """Each is sent with a title that was typed and is not to be saved."""
    row = {"tracks-INITIAL_FORMS": "2", "tracks-TOTAL_FORMS": "2"}
    return {
        "a total of NUL": {"tracks-TOTAL_FORMS": "1\0"},
        "5,000 at the start": {"tracks-INITIAL_FORMS": "5000", "tracks-TOTAL_FORMS": 5},
        "a row of another album": {"tracks-0-id": str(other.pk)},
        "a row twice, deleted": {
            **row,
            "tracks-1-id": str(track.pk),
            "tracks-1-DELETE": "on",
            "tracks-0-position": "x",
        },
        "a row without a key": {"tracks-0-id": None},
        "a row with keys": {"tracks-0-id": [str(other.pk), "x"]},
        "another album": {"tracks-0-album": str(other.album_id)},
        "a version that is no JSON": {"_version": "{"},
        "a version of a list": {"_version": "[1]"},
        "a version of numbers": {"_version": '{"": 1}'},
        "a version of lists": {"_version": '{"": {"title": [], "year": {}}}'},
        "a version of NUL": {"_version": "\0"},
        "a deep version": {"_version": "[" * 100_000},
        "an old version": {"_version": '{"": {"title": "x"}}'},
        "a field of another": {"_to_field": "artist__password"},
        "a field with NUL": {"_to_field": "\0"},
        "held": {"_held": "1", "_lost_files": "1"},
        "a lookup": {"_lookup": "app_label=records&model_name=album"},
        "a lookup of nothing": {"_lookup": "\0", "_term": "\0", "_page": HUGE},
        "a lookup of another model": {
            "_lookup": "app_label=auth&model_name=user&field_name=password"
        },
        "a choice": {"_chosen": HUGE, "_chosen_for": "artist"},
        "choices": {"_chosen": ["\0", "x"], "_chosen_for": "\0", "_several": "1"},
        "a year of another alphabet": {"year": "१९६५x"},
        "a lone surrogate": {"year": "\ud800".encode("utf-8", "surrogatepass")},
    }


async def test_forms_of_an_album() -> None:
    await superuser()
    album = await a_whole_album(notes="Written")
    track = await Track.objects.create(album=album, title="Be My Husband")
    other = await Track.objects.create(album=await an_album(title="Other"), title="Its")
    url = f"{LIST}{album.pk}/change/"
    problems: list[Any] = []
    async with administering(site=hosted()) as http:
        form = await opened(http, url)
        before = await stored()
        for name, changes in forms_of_an_album(track, other).items():
            page = await http.post(
                url, data=changed(form, {"title": "Typed", **changes})
            )
            if page.status_code not in (200, 400, 403):
                problems.append((name, page.status_code, page.headers.get("location")))
            elif page.status_code == 200 and "Typed" not in page.text:
                problems.append((name, "lost"))
            if await stored() != before:
                problems.append((name, "saved"))
                await album.save()
                before = await stored()
        sent = {
            "title": "Saved",
            "notes": "Typed",
            "pk": "7",
            "id": "7",
            "_popup": "\0",
        }
        await http.post(url, data=changed(form, sent))
    assert problems == []
    await album.refresh_from_db()
    assert (album.title, album.notes) == ("Saved", "Written")
    assert await Album.objects.count() == 2


def posts_to_a_list(album: Album, hidden: Album) -> dict[str, dict[str, Any]]:
    rows = {
        "_save": "Save",
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": str(album.pk),
        "form-0-year": "1999",
    }
    delete = {"action": "delete_selected", "_selected_action": str(album.pk)}
    return {
        "a hidden row": {**rows, "form-0-id": str(hidden.pk)},
        "a row of no key": {**rows, "form-0-id": "\0"},
        "a row without a key": {**rows, "form-0-id": None},
        "no forms": {"_save": "Save"},
        "a negative total": {**rows, "form-TOTAL_FORMS": "-1"},
        "a total of text": {**rows, "form-TOTAL_FORMS": "\0"},
        "a new row": {**rows, "form-INITIAL_FORMS": "0"},
        "more at the start": {**rows, "form-INITIAL_FORMS": "9", "form-0-year": "x"},
        "a field that is not editable": {
            **rows,
            "form-0-year": "1965",
            "form-0-title": "Typed",
            "form-0-notes": "Typed",
        },
        "a bad version": {**rows, "_version": '{"form-0": 1}'},
        "a version of another": {**rows, "_version": '{"form-0": {"year": "x"}}'},
        "an unknown action": {**delete, "action": "\0", "post": "yes"},
        "no action": {"_selected_action": str(album.pk), "post": "yes"},
        "another function": {**delete, "action": "delete_model", "post": "yes"},
        "an index of no form": {**delete, "index": "7"},
        "an index of text": {**delete, "index": "x"},
        "a huge index": {**delete, "index": HUGE},
        "keys of no kind": {**delete, "_selected_action": ["\0", "x"], "post": "yes"},
        "a hidden key": {
            **delete,
            "_selected_action": str(hidden.pk),
            "post": "yes",
        },
        "across, not asked": {**delete, "select_across": "1"},
        "across as text": {**delete, "select_across": "\0"},
        "a huge across": {**delete, "select_across": HUGE},
    }


async def test_rows_that_have_left_meanwhile() -> None:
    await superuser()
    album = await a_whole_album()
    await Track.objects.create(album=album, title="Be My Husband")
    other = await an_album(title="Other")
    change = f"{LIST}{album.pk}/change/"
    async with administering(site=hosted()) as http:
        form, rows = await opened(http, change), await opened(http, LIST)
        await Track.objects.update(album=other)
        before = await stored()
        for version in (form["_version"], None):
            typed = {"tracks-0-title": "Typed", "_version": version}
            page = await http.post(change, data=changed(form, typed))
            assert page.status_code == 200
            assert Page(page.text).posted["tracks-0-title"] == ["Typed"]
            assert ("has deleted this row" in page.text) == bool(version)
        assert await stored() == before
        await Album.objects.filter(pk=album.pk).update(title="Hidden")
        before = await stored()
        for version in (rows["_version"], None):
            years = {name: "1999" for name in rows if name.endswith("-year")}
            assert len(years) == 2
            sent = {**years, "_save": "Save", "_version": version}
            page = await http.post(LIST, data=changed(rows, sent))
            assert page.status_code == 200
            assert Page(page.text).posted["form-0-year"] == ["1999"]
            assert Page(page.text).posted["form-1-year"] == ["1999"]
        assert await stored() == before


async def test_posts_to_a_list() -> None:
    await superuser()
    album = await an_album()
    hidden = await an_album(title="Hidden")
    problems: list[Any] = []
    async with administering(site=hosted()) as http:
        before = await stored()
        for name, data in posts_to_a_list(album, hidden).items():
            page = await http.post(LIST, data=changed({}, data))
            if page.status_code not in (200, 302, 400, 403):
                problems.append((name, page.status_code))
            if await stored() != before:
                problems.append((name, "changed"))
                before = await stored()
    assert problems == []


ODD = ["\0", HUGE, "-1", "1.-3..\U0001f4bf" + "x" * 5000]
PARAMETERS = (
    *("o", "p", "q", "after", "before", "_popup", "_to_field"),
    *("year", "label__id__exact", "released__year"),
)


async def test_query_strings() -> None:
    await superuser()
    await an_album()
    problems: list[Any] = []
    async with administering(site=hosted()) as http:
        for name in PARAMETERS:
            for value in ODD:
                params = {name: value}
                page = await http.get(LIST, params=params, follow_redirects=True)
                if page.status_code not in (200, 400):
                    problems.append((name, value[:20], page.status_code))
    assert problems == []


NAMES = [
    "../../x.txt",
    "x" * 300,
    "a\0b.txt",
    "..",
    "C:\\x\\y.txt",
    "\u202etxt.exe",
    ".htaccess",
    "a/b",
    "\r\nX: 1",
]


async def test_files(tmp_path: Path) -> None:
    await superuser()
    album = await an_album()
    url = "/admin/records/booklet/add/"
    folder = tmp_path / "media" / "inside"
    problems: list[Any] = []
    async with administering(site=hosted(), MEDIA_ROOT=folder) as http:
        for name in NAMES:
            files = {"scan": (name, b"scan")}
            page = await http.post(url, data={"album": album.pk}, files=files)
            if page.status_code not in (200, 302, 400):
                problems.append((name, page.status_code))
            elif page.status_code == 200 and Page(page.text).posted["album"] != [
                str(album.pk)
            ]:
                problems.append((name, "lost"))
        # Of ".." no name is left, as in Django.
        paths = [
            Path(booklet.scan.path)
            async for booklet in Booklet.objects.exclude(scan="")
            if booklet.scan
        ]
    assert problems == []
    assert len(paths) == len(NAMES) - 2
    assert {path.parent for path in paths} == {folder}
    # Nor anywhere else.
    written = await anyio.to_thread.run_sync(lambda: [*tmp_path.rglob("*.*")])
    assert sorted(written) == sorted(path for path in paths if path in written)


BODIES: dict[str, tuple[str, bytes]] = {
    "JSON": ("application/json", b'{"title": "Typed"}'),
    "a list of JSON": ("application/json", b"[1]"),
    "no boundary": ("multipart/form-data", b"--x"),
    "garbage": ("multipart/form-data; boundary=x", b"\xff\x00" * 500),
    "a cut part": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disp"),
    "no name": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
    ),
    "a charset": ("application/x-www-form-urlencoded; charset=utf-16", b"title=Typed"),
    "no charset": ("application/x-www-form-urlencoded; charset=\xff", b"title=Typed"),
    "no type": ("", b"title=Typed"),
    "bytes": ("application/x-www-form-urlencoded", b"title=%ff%fe&year=%00&%00=%00"),
    "XML": ("text/xml", b"<a/>"),
}


async def test_bodies() -> None:
    await superuser()
    album = await an_album()
    problems: list[Any] = []
    async with administering(site=hosted()) as http:
        before = await stored()
        for url in (LIST, f"{LIST}{album.pk}/change/", "/admin/records/booklet/add/"):
            for name, (kind, body) in BODIES.items():
                headers = {b"content-type": kind.encode("latin-1")}
                page = await http.post(url, content=body, headers=headers)
                if page.status_code not in (200, 302, 400, 403, 415):
                    problems.append((url, name, page.status_code))
                if await stored() != before:
                    problems.append((url, name, "changed"))
                    before = await stored()
    assert problems == []


ELSEWHERE = ["https://evil.test/", "//evil.test", "/\\evil.test", "/\r\nX: 1"]


def leads_elsewhere(response: httpx.Response) -> bool:
    where = response.headers.get("location", "/")
    added = [name for name in response.headers if name == "x" or name.startswith("hx-")]
    is_ours = where.startswith("/") and not where.startswith(("//", "/\\"))
    return response.status_code >= 500 or not is_ours or bool(added)


async def test_addresses_elsewhere() -> None:
    await superuser()
    album = await a_whole_album()
    problems: list[Any] = []
    change = f"{LIST}{album.pk}/change/"
    async with administering(site=hosted()) as http:
        form = await opened(http, change)
        for to in ELSEWHERE:
            for name in ("next", "_changelist_filters"):
                params = {name: to}
                for data in (form, {**form, "_continue": "1"}, {**form, "next": to}):
                    # An earlier save has another version.
                    sent = changed(form, {**data, "_version": None})
                    page = await http.post(change, params=params, data=sent)
                    assert page.status_code == 302
                    if leads_elsewhere(page):
                        problems.append((name, to, page.headers))
                page = await http.post("/admin/login/", params=params, data=params)
                if leads_elsewhere(page):
                    problems.append((name, to, page.headers))
    async with administering(None, site=hosted()) as http:
        for to in ELSEWHERE:
            data = {"username": "ada", "password": "secret", "next": to}
            for url in ("login", "logout"):
                page = await http.post(f"/admin/{url}/", data=data)
                assert page.status_code in (200, 302)
                if leads_elsewhere(page):
                    problems.append((url, to, page.headers))
    assert problems == []
