"""Completion and windows for related objects, in a real browser."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import Browser
from tests.records.models import Album, Artist, Genre, Label
from tests.web.admin.administering import superuser
from tests.web.admin.browsing import browse, focused, in_window, press, value
from vinyl.web.admin import AdminSite, ModelAdmin, TabularInline

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db"),
    # The pages are the same on every database.
    pytest.mark.parametrize("db", ["sqlite"], indirect=True),
    # Of a busy machine; each step of the browser has its own.
    pytest.mark.timeout(400),
]

INPUT = "[data-completes=id_artist]"


class AlbumAdmin(ModelAdmin):
    fields = ["title", "artist", "genres", "label"]
    autocomplete_fields = ["artist", "genres"]


class Albums(TabularInline):
    model = Album
    fields = ["title", "label"]
    autocomplete_fields = ["label"]
    extra = 0


async def test_completing_by_keyboard_and_windows_for_objects(tmp_path: Path) -> None:
    await superuser()
    await Artist.objects.bulk_create(Artist(name=f"Artist {i:03}") for i in range(30))
    for name in ("Jazz", "Soul"):
        await Genre.objects.create(name=name)
    philips = await Label.objects.create(name="Philips")
    site = AdminSite()
    site.register(Album, AlbumAdmin)
    site.register(Artist, search_fields=["name"], inlines=[Albums])
    site.register([Genre, Label], search_fields=["name"])

    def steps(browser: Browser, url: str) -> None:
        browser.open(f"{url}/admin/records/album/add/")
        browser.fill("#id_title", "Pastel Blues")
        keyboard(browser)
        chips(browser)
        windows(browser)
        browser.screenshot(tmp_path / "page.png")
        browser.click("text=Save")
        assert browser.path() == "/admin/records/album/"
        new_row(browser, url)

    await browse(site, tmp_path, steps)
    album = await Album.objects.select_related("artist", "label").get(
        title="Pastel Blues"
    )
    assert album.artist.name == "Artist 012"
    assert album.label is not None
    assert album.label.name == "Verve!"
    assert [genre.name async for genre in album.genres.all()] == ["Soul"]
    added = await Album.objects.select_related("artist").get(label=philips)
    assert added.artist.name == "Artist 012"


def options(browser: Browser, count: int) -> None:
    found = "document.querySelectorAll('[role=option]:not([aria-disabled])')"
    browser.wait_until(f"{found}.length == {count}")


def keyboard(browser: Browser) -> None:
    # The label leads to the field.
    browser.click("label[for^=complete]", stays=True)
    assert browser.evaluate(f"document.activeElement.matches('{INPUT}')")
    press(browser, "ArrowDown")
    options(browser, 20)
    # The end of a page brings the next one.
    press(browser, "ArrowUp")
    options(browser, 30)
    press(browser, "Escape")
    assert browser.evaluate("document.querySelector('[role=listbox]').hidden")
    browser.fill(INPUT, "nobody")
    browser.wait_until("document.body.innerText.includes('None available')")
    browser.fill(INPUT, "012")
    options(browser, 1)
    press(browser, "ArrowDown")
    assert (
        browser.evaluate(
            f"document.getElementById(document.querySelector('{INPUT}')"
            ".getAttribute('aria-activedescendant')).innerText"
        )
        == "Artist 012"
    )
    press(browser, "Enter")
    assert value(browser, INPUT) == "Artist 012"
    # What is typed and not chosen is not kept.
    browser.fill(INPUT, "01")
    press(browser, "Tab")
    assert value(browser, INPUT) == "Artist 012"


def chips(browser: Browser) -> None:
    genres = "[data-completes=id_genres]"
    for name in ("Jazz", "Soul"):
        browser.fill(genres, name)
        options(browser, 1)
        browser.click(".several [role=option]", stays=True)
    assert browser.evaluate("document.querySelectorAll('.chips li').length") == 2
    browser.click("[aria-label='Remove Jazz']", stays=True)
    assert browser.evaluate("document.querySelector('.chips').innerText") == "Soul\n×"


def windows(browser: Browser) -> None:
    """Add a label in a window, and change it in another one."""
    in_window(browser, "label", "add", "Verve")
    browser.wait_until(
        "document.querySelector('#id_label').selectedOptions[0].text == 'Verve'"
    )
    in_window(browser, "label", "change", "Verve!")
    browser.wait_until(
        "document.querySelector('#id_label').selectedOptions[0].text == 'Verve!'"
    )
    assert focused(browser) == "id_label"


def new_row(browser: Browser, url: str) -> None:
    browser.open(f"{url}/admin/records/artist/?q=012")
    browser.click("text=Artist 012")
    browser.click("[data-add]", stays=True)
    browser.fill("#id_albums-1-title", "Added here")
    browser.fill("[data-completes=id_albums-1-label]", "phil")
    options(browser, 1)
    press(browser, "ArrowDown")
    press(browser, "Enter")
    browser.click("text=Save")
    assert browser.path() == "/admin/records/artist/"


async def test_a_filter_completes_its_choices(tmp_path: Path) -> None:
    await superuser()
    await Artist.objects.bulk_create(Artist(name=f"Artist {i:03}") for i in range(120))
    artists = {artist.name: artist async for artist in Artist.objects.all()}
    for number in (7, 8):
        artist = artists[f"Artist {number:03}"]
        await Album.objects.create(title=f"Album {number}", year=1960, artist=artist)
    site = AdminSite()
    options_of_list = {"list_filter": ["artist"], "search_fields": ["title"]}
    site.register(Album, type("Own", (ModelAdmin,), options_of_list))
    site.register(Artist, search_fields=["name"])
    field = "#filters [role=combobox]"
    rows = "[...document.querySelectorAll('.results tbody tr')].map(r => r.innerText)"

    def pick(browser: Browser, words: str) -> None:
        browser.fill(field, words)
        options(browser, 1)
        press(browser, "ArrowDown")
        path = browser.evaluate("location.search")
        press(browser, "Enter")
        browser.wait_until(f"location.search != {path!r} && document.body !== null")
        browser.wait_until("document.readyState == 'complete'")

    def steps(browser: Browser, url: str) -> None:
        browser.open(f"{url}/admin/records/album/?q=Album")
        browser.click("[aria-controls=filters]", stays=True)
        assert (
            browser.evaluate("document.querySelectorAll('[name^=_find]').length") == 0
        )
        pick(browser, "007")
        browser.wait_until(f"{rows}.length == 1 && {rows}[0].includes('Album 7')")
        # It takes the place of the one before; the search stays.
        pick(browser, "008")
        browser.wait_until(f"{rows}.length == 1 && {rows}[0].includes('Album 8')")
        query = browser.evaluate("location.search")
        assert query.count("artist__id__exact") == 1
        assert "q=Album" in query
        browser.fill(field, "Artist 01")
        options(browser, 12)

    await browse(site, tmp_path, steps)
