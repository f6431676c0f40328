"""What the scripts of change forms do, in a real browser."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.contenttypes.admin import GenericStackedInline

from tests.browser import Browser
from tests.records.models import Album, Artist, Genre, Label, Tag, Track
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


class SlugForm(forms.ModelForm):
    slug = forms.SlugField(max_length=16, required=False)
    unicode_slug = forms.SlugField(max_length=30, required=False, allow_unicode=True)

    class Meta:
        fields = ["title"]


class SlugTracks(TabularInline):
    model = Track
    form = SlugForm
    extra = 1
    prepopulated_fields = {"slug": ["title"]}


SLUGS = {
    "Pastel  Blues!": ("pastel-blues", "pastel-blues"),
    "Straße nach Ærø — Łódź": ("strasse-nach-aer", "straße-nach-ærø-łódź"),
    "Щедрик і ЇЖАК": ("shedrik-i-yizhak", "щедрик-і-їжак"),
    "Ωδή στη χαρά": ("odi-sti-chara", "ωδή-στη-χαρά"),
    "  --- ": ("", ""),
    "日本語 title": ("title", "日本語-title"),
}


async def test_slugs_are_made_from_what_is_typed(tmp_path: Path) -> None:
    await superuser()

    def steps(browser: Browser, url: str) -> None:
        browser.open(f"{url}/admin/records/album/add/")
        for title, (ascii_slug, slug) in SLUGS.items():
            browser.fill("#id_title", title)
            assert value(browser, "#id_unicode_slug").startswith(slug), title
            assert value(browser, "#id_slug") == ascii_slug, title
        # From several fields; until somebody has another idea, or none.
        browser.fill("#id_title", "At Last")
        browser.fill("#id_year", "1960")
        assert value(browser, "#id_unicode_slug") == "at-last-1960"
        browser.fill("#id_slug", "mine")
        browser.fill("#id_title", "At Last!")
        assert value(browser, "#id_slug") == "mine"
        browser.fill("#id_slug", "")
        browser.fill("#id_title", "At Last")
        assert value(browser, "#id_slug") == "at-last"
        # In rows, of which one is new and one has moved up.
        for _ in range(2):
            browser.click("#tracks-group [data-add]", stays=True)
        browser.fill("#id_tracks-2-title", "Stormy Weather")
        assert value(browser, "#id_tracks-2-slug") == "stormy-weather"
        browser.click("#tracks-1 [data-remove]", stays=True)
        browser.fill("#id_tracks-1-title", "Sunday Kind of Love")
        assert value(browser, "#id_tracks-1-slug") == "sunday-kind-of-l"

    site = site_with(
        SlugTracks,
        form=SlugForm,
        fields=["title", "slug", "year", "unicode_slug"],
        prepopulated_fields={"slug": ["title"], "unicode_slug": ["title", "year"]},
    )
    await browse(site, tmp_path, steps)


async def test_many_are_chosen_from_a_list(tmp_path: Path) -> None:
    await superuser()
    album = await an_album()
    jazz, blues, soul = [
        await Genre.objects.create(name=name) for name in ("Jazz", "Blues", "Soul")
    ]
    await album.genres.set([jazz])

    def visible(browser: Browser, items: str) -> list[str]:
        return browser.evaluate(
            f"[...document.querySelectorAll('{items} li:not([hidden])')]"
            ".map(li => li.innerText.replace(/\\s+/g, ' ').trim())"
        )

    def steps(browser: Browser, url: str) -> None:
        one = f"{url}/admin/records/album/{album.pk}/change/"
        browser.open(one)
        assert visible(browser, "[data-available]") == ["Jazz", "Blues", "Soul"]
        assert visible(browser, "[data-chosen]") == ["Jazz ×"]
        assert "Chosen genres (1)" in browser.text()
        assert browser.evaluate("document.querySelector('#id_genres').hidden")
        assert "Hold down" not in browser.text()
        # By keyboard: a word, Tab to the box of what is found, Space.
        browser.fill(".choices input[type=search]", "BLU")
        assert visible(browser, "[data-available]") == ["Blues"]
        press(browser, "Enter")
        press(browser, "Tab")
        press(browser, "Tab")
        press(browser, " ")
        assert visible(browser, "[data-chosen]") == ["Jazz ×", "Blues ×"]
        browser.click("[data-chosen] button", stays=True)
        assert visible(browser, "[data-chosen]") == ["Blues ×"]
        browser.fill(".choices input[type=search]", "qq")
        browser.click("[data-all]", stays=True)
        assert visible(browser, "[data-chosen]") == ["Blues ×"]
        browser.click("[data-none]", stays=True)
        browser.fill(".choices input[type=search]", "o u")
        browser.click("[data-all]", stays=True)
        # A window has added one.
        browser.evaluate(
            "(select => { select.add(new Option('Folk', '99'));"
            " select.dispatchEvent(new Event('change')) })"
            "(document.querySelector('#id_genres'))"
        )
        browser.fill(".choices input[type=search]", "fol")
        assert visible(browser, "[data-available]") == ["Folk"]
        browser.click("[name=_save]")

    site = site_with(fields=["title", "genres"], filter_horizontal=["genres"])
    await browse(site, tmp_path, steps)
    assert [genre.name async for genre in album.genres.all()] == ["Soul"]
