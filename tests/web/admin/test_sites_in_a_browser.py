"""A day in the admin, in a real browser; and each page before axe-core's rules."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc, override"

from __future__ import annotations

import datetime
import importlib.util
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser
from tests.records.models import Album, Artist, Genre, Label, Track
from tests.web.admin.administering import MIDDLEWARE, superuser
from tests.web.admin.browsing import browse, focused, in_window, press, value
from vinyl.web.admin import AdminSite, Card, ListCard, ModelAdmin, TabularInline, action

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db"),
    # The pages are the same on every database.
    pytest.mark.parametrize("db", ["sqlite"], indirect=True),
    # Of a busy machine; each step of the browser has its own.
    pytest.mark.timeout(400),
]

LIST = "/admin/records/album/"


class Tracks(TabularInline):
    model = Track
    extra = 0
    classes = ["tab"]


class AlbumAdmin(ModelAdmin):
    list_display = ["title", "artist", "year", "label", "released"]
    list_filter = ["year", "label"]
    list_editable = ["label"]
    search_fields = ["title"]
    autocomplete_fields = ["artist"]
    date_hierarchy = "released"
    actions = ["shout"]
    inlines = [Tracks]
    list_per_page = 20
    export_fields = ["id", "title", "year", "artist__name"]
    import_fields = ["id", "title", "year", "artist__name"]
    fieldsets = [
        (None, {"fields": ["title", ("year", "released")]}),
        ("People", {"fields": ["artist", "label", "genres"], "classes": ["tab"]}),
        ("Words", {"fields": ["notes"], "classes": ["tab"]}),
    ]

    @action(description="Shout")
    async def shout(self, request: Any, queryset: Any) -> None:
        async for album in queryset:
            album.title = album.title.upper()
            await album.save()


class Site(AdminSite):
    async def get_cards(self, request: Any) -> Any:
        return [
            Card("Albums", await Album.objects.count(), LIST, "All of them"),
            ListCard("Newest", items=[("Pastel Blues", LIST)]),
        ]


site = Site()
site.register(Album, AlbumAdmin)
site.register([Artist, Label, Genre], search_fields=["name"])


async def some_albums() -> Album:
    await superuser()
    label = await Label.objects.create(name="Philips")
    await Genre.objects.create(name="Jazz")
    for name in ("Nina Simone", "Sun Ra"):
        artist = await Artist.objects.create(name=name)
        for i in range(15):
            await Album.objects.create(
                title=f"A rather long title of an album, number {i:02} of {name}",
                artist=artist,
                label=label,
                year=1955 + i % 3,
                released=datetime.date(1955 + i % 3, 1 + i % 12, 1),
            )
    album = await Album.objects.create(title="Pastel Blues", artist=artist, notes="x")
    await Track.objects.create(album=album, title="Sinnerman", position=1)
    return album


def rows(browser: Browser) -> int:
    return browser.evaluate("document.querySelectorAll('tbody tr').length")


async def test_a_day(tmp_path: Path) -> None:
    album = await some_albums()

    def steps(browser: Browser, url: str) -> None:
        start_the_day(browser)
        find_rows(browser, url)
        arrange(browser)
        edit(browser, f"{url}{LIST}{album.pk}")
        act(browser, url)
        carry(browser, url, tmp_path)

    await browse(site, tmp_path, steps)
    assert not await Album.objects.filter(pk=album.pk).exists()
    titles = [album.title async for album in Album.objects.all()]
    assert sum(title.startswith("A RATHER") for title in titles) == 2
    # Two of them lost what the import has replaced.
    assert {a.year async for a in Album.objects.filter(artist__name="Sun Ra")} == {1999}
    assert (await Label.objects.get(name="Verve")).pk


def start_the_day(browser: Browser) -> None:
    """From the cards to an album, by keyboard."""
    assert "All of them" in browser.text()
    press(browser, "/")
    assert focused(browser) == "find"
    browser.call("Input.insertText", text="pastel")
    browser._leaving(lambda: press(browser, "Enter"))
    assert browser.path() == "/admin/search/"
    browser.click("text=Pastel Blues by Sun Ra")
    browser.click(".crumbs li:nth-child(3) a")
    assert browser.path() == LIST


def find_rows(browser: Browser, url: str) -> None:
    """Filter, search and sort."""
    assert not browser.evaluate("document.querySelector('#filters').checkVisibility()")
    browser.click("text=Filter", stays=True)
    assert browser.evaluate("document.querySelector('#filters').checkVisibility()")
    browser.click("#filters details:nth-of-type(1) li:nth-of-type(3) a")
    # The fold is remembered.
    assert browser.evaluate("document.querySelector('#filters').checkVisibility()")
    assert rows(browser) == 10
    browser.fill("#searchbar", "nina")
    browser.click(".bar .search button")
    assert rows(browser) == 5
    browser.click("thead .column-title a")
    assert browser.evaluate("document.querySelector('[aria-sort]').ariaSort")
    browser.click("text=Clear all filters")
    browser.open(url + LIST)
    rows_in_sight = (
        "[...document.querySelectorAll('tbody tr')]"
        ".filter(r => r.getBoundingClientRect().bottom < 900).length"
    )
    assert browser.evaluate(rows_in_sight) >= 10


def arrange(browser: Browser) -> None:
    """Fold the sidebar, choose dark colours and a favourite: all are remembered."""
    side = "document.querySelector('#side').checkVisibility()"
    browser.click("[data-prefer=side] button", stays=True)
    assert not browser.evaluate(side)
    browser.click(".star")
    assert not browser.evaluate(side)
    browser.click("[data-prefer=side] button", stays=True)
    assert "FAVOURITES" in browser.text().upper()
    for scheme in ("light", "dark", "auto"):
        browser.click("[data-prefer=scheme] button")
        found = browser.evaluate("document.documentElement.dataset.scheme || 'auto'")
        assert found == scheme
    assert browser.evaluate("document.querySelector('.star').ariaPressed") == "true"


def edit(browser: Browser, one: str) -> None:
    """Complete, add a row behind a tab, meet an error, save, and read the history."""
    browser.open(f"{one}/change/")
    assert browser.evaluate("document.querySelectorAll('[role=tab]').length") == 3
    browser.fill("[data-completes=id_artist]", "nina")
    browser.wait_until("document.querySelector('[role=option]')")
    press(browser, "Enter")
    # The buttons that save are in sight.
    save = "document.querySelector('[name=_save]').getBoundingClientRect().bottom"
    assert browser.evaluate(f"{save} < innerHeight")
    browser.click("text=Tracks", stays=True)
    press(browser, "ArrowLeft")
    assert focused(browser) == "fieldset-2-tab"
    assert browser.evaluate("document.querySelector('#id_notes').checkVisibility()")
    browser.click("text=Tracks", stays=True)
    browser.click("#tracks-group [data-add]", stays=True)
    browser.fill("#id_tracks-1-title", "Trouble in Mind")
    browser.evaluate("document.querySelector('#id_tracks-1-position').value = ''")
    browser.click("[name=_continue]")
    # The tab with the error is open, and the reader starts at the summary.
    browser.wait_until("document.activeElement.matches('.note.error')")
    in_window(browser, "label", "add", "Verve")
    browser.wait_until(
        "document.querySelector('#id_label').selectedOptions[0].text == 'Verve'"
    )
    browser.evaluate("document.querySelector('#id_genres').options[0].selected = true")
    browser.click("[name=_continue]")
    browser.wait_until("document.activeElement.matches('.note.error')")
    assert browser.evaluate(
        "document.querySelector('#id_tracks-1-position').checkVisibility()"
    )
    browser.fill("#id_tracks-1-position", "2")
    browser.click("[name=_continue]")
    assert "was changed successfully" in browser.text()
    assert value(browser, "#id_tracks-1-title") == "Trouble in Mind"
    browser.click("text=History")
    assert "Trouble in Mind" in browser.text()


def act(browser: Browser, url: str) -> None:
    """An action on two rows, and deleting one after a look at what goes with it."""
    browser.open(f"{url}{LIST}?q=nina")
    for row in (1, 2):
        browser.click(f"tbody tr:nth-child({row}) .action-select", stays=True)
    assert "2 / 15" in browser.text()
    browser.evaluate("document.querySelector('[name=action]').value = 'shout'")
    browser.click("text=Go")
    assert "A RATHER LONG TITLE" in browser.text()
    browser.open(f"{url}{LIST}?q=pastel")
    browser.click("tbody th a")
    browser.click("text=Delete")
    assert "Sinnerman" in browser.text()
    browser.click("text=Yes, I’m sure")
    assert "was deleted successfully" in browser.text()


def carry(browser: Browser, url: str, folder: Path) -> None:
    """Export what a search finds, change it in a spreadsheet, and import it."""
    browser.call(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder)
    )
    browser.open(f"{url}{LIST}?q=Sun")
    browser.click("text=Export", stays=True)
    browser.click("text=CSV", stays=True)
    deadline = time.monotonic() + 60
    while not (files := [*folder.glob("album-*.csv")]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [file] = files
    table = file.read_text("utf-8-sig")
    assert table.count("Sun Ra\n") == 15
    file.write_text(re.sub(r",195\d,", ",1999,", table))
    browser.click("text=Import")
    browser.upload("[name=file]", file)
    browser.click("text=Preview")
    assert "0 to add, 15 to change, 0 unchanged, 0 with errors." in browser.text()
    browser.click("button[name=save]")
    assert "15 changed" in browser.text()


def axe() -> str:
    """The source of axe-core, from one of the packages on PyPI that have it."""
    for package in ("axe_core_python", "axe_playwright_python"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            return (Path(spec.origin).parent / "axe.min.js").read_text()
    pytest.skip("axe-core is not installed: pip install axe-core-python")


SERIOUS = """
    axe.run(document, {resultTypes: ['violations']}).then(result => result.violations
        .filter(rule => ['serious', 'critical'].includes(rule.impact))
        .map(rule => [rule.id, ...rule.nodes.map(node => node.html)].join(' ')))
"""
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def audit(browser: Browser, rules: str, where: str) -> None:
    """No serious or critical finding, in light and in dark."""
    for scheme in ("light", "dark"):
        media = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.call("Emulation.setEmulatedMedia", features=media)
        browser.evaluate(rules)
        assert browser.evaluate(SERIOUS) == [], (where, scheme)


async def test_each_page_before_the_rules_of_axe(tmp_path: Path) -> None:
    album = await some_albums()
    rules = axe()
    one = f"{LIST}{album.pk}"
    paths = [
        "/admin/",
        "/admin/search/?q=pastel",
        f"{LIST}?q=a&o=1.-2",
        f"{one}/change/",
        f"{one}/delete/",
        f"{one}/history/",
        "/admin/password_change/",
        "/admin/records/label/?q=nothing",
        "/admin/autocomplete/",
    ]

    def steps(browser: Browser, url: str) -> None:
        browser.open(url + LIST)
        browser.click("text=Filter", stays=True)
        for path in paths:
            browser.open(url + path)
            audit(browser, rules, path)
        browser.open(f"{url}{LIST}add/")
        browser.click("text=Save")
        assert "Please correct the errors below." in browser.text()
        audit(browser, rules, "errors of a form")
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=390,
            height=844,
            deviceScaleFactor=1,
            mobile=True,
        )
        browser.open(f"{url}{one}/change/")
        audit(browser, rules, "a form on a phone")
        browser.open(url + LIST)
        audit(browser, rules, "a list on a phone")
        for language in ("en", "ar"):
            headers = {"Accept-Language": language}
            browser.call("Network.setExtraHTTPHeaders", headers=headers)
            for path in paths:
                browser.open(url + path)
                assert browser.evaluate(FITS), (path, language)
        assert browser.evaluate("document.dir") == "rtl"
        browser.call("Emulation.clearDeviceMetricsOverride")
        for language in ("ar", "he"):
            headers = {"Accept-Language": language}
            browser.call("Network.setExtraHTTPHeaders", headers=headers)
            browser.open(f"{url}{one}/change/")
            audit(browser, rules, f"a form in {language}")
            browser.open(url + LIST)
            audit(browser, rules, f"a list in {language}")
        browser.open(f"{url}/admin/")
        browser.call("Network.setExtraHTTPHeaders", headers={})
        browser.evaluate("document.querySelector('.menu').open = true")
        browser.click("[action$='logout/'] button")
        browser.open(f"{url}/admin/login/")
        audit(browser, rules, "the page for logging in")
        # The browser writes the page of an error to its console.
        expected = [p for p in browser.problems if "/admin/autocomplete/" in p]
        assert browser.problems == expected
        browser.problems.clear()

    middleware = [
        "tests.web.admin.browsing.StrictPolicy",
        "vinyl.web.staticfiles.StaticFilesMiddleware",
        "vinyl.web.i18n.LocaleMiddleware",
        *MIDDLEWARE,
    ]
    await browse(site, tmp_path, steps, MIDDLEWARE=middleware)
