"""What the scripts of change forms do, in a real browser."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.contenttypes.admin import GenericStackedInline

from tests.browser import Browser
from tests.records.models import Album, Artist, Label, Tag, Track
from tests.web.admin.administering import an_album, superuser
from tests.web.admin.browsing import browse, focused, press, value
from vinyl.web.admin import AdminSite, StackedInline, TabularInline

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db"),
    # The pages are the same on every database.
    pytest.mark.parametrize("db", ["sqlite"], indirect=True),
    # Of a busy machine; each step of the browser has its own.
    pytest.mark.timeout(400),
]


class Tracks(TabularInline):
    model = Track
    extra = 1
    min_num = 1
    max_num = 5


class MoreTracks(StackedInline):
    """The same model once more, whose prefix begins like that of the first."""

    model = Track
    extra = 0
    verbose_name = "bonus track"
    classes = ["collapse"]


class Tags(GenericStackedInline):
    model = Tag
    extra = 0


def site_with(*inlines: Any, **options: Any) -> AdminSite:
    site = AdminSite()
    options = {"fields": ["title"], **options}
    site.register(Album, inlines=inlines, **options)
    site.register([Artist, Label])
    return site


def names(browser: Browser, prefix: str) -> list[str]:
    """The names of the fields for titles of an inline, in their order."""
    return browser.evaluate(
        f"[...document.querySelectorAll('#{prefix}-group [data-row] input')]"
        ".map(e => e.name).filter(name => name.endsWith('-title'))"
    )


async def test_rows_are_added_and_removed(tmp_path: Path) -> None:
    await superuser()
    album = await an_album()
    await Track.objects.create(album=album, title="Sinnerman", position=1)
    add = "#tracks-group [data-add]"

    def steps(browser: Browser, url: str) -> None:
        browser.open(f"{url}/admin/records/album/{album.pk}/change/")
        assert names(browser, "tracks") == ["tracks-0-title", "tracks-1-title"]
        # By keyboard alone.
        browser.evaluate(f"document.querySelector('{add}').focus()")
        for number in (2, 3):
            press(browser, "Enter")
            assert focused(browser) == f"id_tracks-{number}-title"
            browser.call("Input.insertText", text=f"Track {number}")
            browser.evaluate(f"document.querySelector('{add}').focus()")
        press(browser, " ")
        assert value(browser, "#id_tracks-TOTAL_FORMS") == "5"
        # No more than max_num.
        assert browser.evaluate(f"document.querySelector('{add}').hidden")
        browser.evaluate(
            "document.querySelector('#tracks-1 [data-remove]').focus()",
        )
        press(browser, "Enter")
        assert value(browser, "#id_tracks-TOTAL_FORMS") == "4"
        assert not browser.evaluate(f"document.querySelector('{add}').hidden")
        assert value(browser, "#id_tracks-1-title") == "Track 2"
        assert value(browser, "#id_tracks-2-title") == "Track 3"
        # The focus stays near: on the button of the row that has moved up.
        assert browser.evaluate(
            "document.activeElement === "
            "document.querySelector('#tracks-1 [data-remove]')"
        )
        # The other inline of the model keeps its own numbers.
        assert names(browser, "tracks-2") == ["tracks-2-0-title"]
        browser.click("#tracks-2-group summary", stays=True)
        browser.click("#tracks-2-group [data-add]", stays=True)
        browser.fill("#id_tracks-2-1-title", "Bonus")
        browser.click(
            "#records-tag-content_type-object_id-group [data-add]", stays=True
        )
        browser.fill("#id_records-tag-content_type-object_id-0-word", "live")
        browser.click("[name=_save]")
        assert browser.path() == "/admin/records/album/"

    await browse(site_with(Tracks, MoreTracks, Tags), tmp_path, steps)
    titles = {track.title async for track in album.tracks.all()}
    assert titles == {"Sinnerman", "Track 2", "Track 3", "Bonus"}
    assert [tag.word async for tag in album.tags.all()] == ["live"]


async def test_a_form_with_changes_is_not_lost_nor_sent_twice(tmp_path: Path) -> None:
    await superuser()
    album = await an_album()
    asks = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"

    def steps(browser: Browser, url: str) -> None:
        one = f"{url}/admin/records/album/{album.pk}/change/"
        browser.open(one)
        assert not browser.evaluate(asks)
        browser.fill("#id_title", "Changed")
        assert browser.evaluate(asks)
        browser.fill("#id_title", "Pastel Blues")
        assert not browser.evaluate(asks)
        browser.click("[data-remove]", stays=True)
        assert browser.evaluate(asks)
        # Errors of what has been sent, which is not saved yet.
        browser.fill("#id_title", "")
        browser.click("[name=_continue]")
        assert "This field is required." in browser.text()
        assert browser.evaluate(asks)
        assert browser.dialogs == []
        browser.open(f"{url}/admin/records/album/add/?artist={album.artist_id}")
        assert browser.dialogs == ["beforeunload"]
        browser.fill("#id_title", "Sent once")
        browser.fill("#id_tracks-0-title", "Sinnerman")
        twice = (
            "for (const _ of [1, 2])"
            " document.querySelector('form.fields').requestSubmit("
            "document.querySelector('[name=_continue]'))"
        )
        browser._leaving(lambda: browser.evaluate(twice))
        assert browser.path().endswith("/change/")
        assert not browser.evaluate(asks)

    site = site_with(Tracks, fields=["title", "artist"])
    await browse(site, tmp_path, steps)
    assert await Album.objects.filter(title="Sent once").count() == 1
