"""The static files of the admin: what its pages use is there, and nothing else."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from django import forms
from django.contrib import admin as djangos
from django.contrib.admin import widgets
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.forms import Media, Script
from django.test import override_settings

from tests.records.models import Album, Artist, Track
from tests.web.admin.administering import AlbumAdmin, administering, superuser
from vinyl.web import admin
from vinyl.web.admin import AdminSite
from vinyl.web.admin.static import LIBRARIES

pytestmark = pytest.mark.anyio

STORAGE = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
MIDDLEWARE = [
    "vinyl.web.staticfiles.StaticFilesMiddleware",
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
    "vinyl.web.csrf.CSRFMiddleware",
]
SIGNS = {f"admin/img/icon-{answer}.svg" for answer in ("yes", "no", "unknown")}
OWN = {
    f"vinyl/{file.name}"
    for file in (Path(admin.__file__).parent / "static" / "vinyl").iterdir()
}
INIT = "admin/js/jquery.init.js"
JQUERY = "admin/js/vendor/jquery/jquery.min.js"
UNMINIFIED = "admin/js/vendor/jquery/jquery.js"
DJANGOS = Path(djangos.__file__).parent / "static" / "admin"


class Form(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["title", "artist", "label", "year", "released", "genres"]
        widgets = {
            "released": widgets.AdminDateWidget,
            "genres": widgets.FilteredSelectMultiple("genres", False),
            "label": widgets.AutocompleteSelect(
                Album._meta.get_field("label"), djangos.site
            ),
        }

    class Media:
        css = {"all": ["admin/css/widgets.css", "own/form.css"]}
        js = ["admin/js/jquery.init.js", Script("admin/js/core.js"), "own/form.js"]


class FormAdmin(AlbumAdmin):
    """What has signs for true and false, and widgets that bring scripts of Django's."""

    form = Form
    raw_id_fields = []
    fieldsets = []
    readonly_fields = ["is_old"]
    list_filter = ["year"]
    save_as = True


site = AdminSite()
site.register(Album, FormAdmin)
site.register(Artist, fieldsets=[("A", {"fields": ["name"], "classes": ["tab"]})])
site.register(Track)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder for STATICFILES_DIRS, with what the form brings."""
    (tmp_path / "source" / "own").mkdir(parents=True)
    for name in ("form.css", "form.js"):
        (tmp_path / "source" / "own" / name).write_text("/* own */")
    return tmp_path / "source"


@contextmanager
def collected(root: Path, *folders: Any, storage: str = STORAGE) -> Iterator[set[str]]:
    """The names of the files in STATIC_ROOT, without those that carry a hash."""
    default = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    settings: dict[str, Any] = {
        "STATIC_ROOT": str(root),
        "STATICFILES_DIRS": folders,
        "STORAGES": {"default": default, "staticfiles": {"BACKEND": storage}},
    }
    with override_settings(**settings):
        finders.get_finder.cache_clear()
        call_command("collectstatic", interactive=False, verbosity=0)
        files = (file for file in root.rglob("*") if file.is_file())
        names = {file.relative_to(root).as_posix() for file in files}
        yield {name for name in names if not re.search(r"\.\w{12}\.\w+$", name)}
    finders.get_finder.cache_clear()


async def crawled(http: httpx.AsyncClient) -> dict[str, str]:
    """By path, the text of every page that links of the admin lead to."""
    pages: dict[str, str] = {}
    waiting = ["/admin/", "/admin/login/", "/admin/password_change/"]
    while waiting:
        url = waiting.pop()
        if url in pages:
            continue
        response = await http.get(url, follow_redirects=True)
        assert response.status_code < 500, url
        pages[url] = response.text
        for link in re.findall(r'href="([^"#]+)"', response.text):
            # Filters and orders of a list multiply, and need no file more.
            path = response.url.join(unescape(link)).path
            if path.startswith("/admin/"):
                waiting.append(path)
    return pages


def referenced(pages: dict[str, str]) -> set[str]:
    """The addresses of static files in *pages*."""
    found = (re.findall(r'(?:href|src)="(/static/[^"]+)"', p) for p in pages.values())
    return {unescape(url) for urls in found for url in urls}


async def some_albums() -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    for year in (1958, 1965):
        album = await Album.objects.create(title="An album", artist=artist, year=year)
        await Track.objects.create(album=album, title="A track", position=1)


async def test_every_file_that_a_page_names_is_served_during_development(
    db: Any,
    own: Path,
) -> None:
    await some_albums()
    with override_settings(STATICFILES_DIRS=[own]):
        finders.get_finder.cache_clear()
        async with administering(site=site, DEBUG=True) as http:
            pages = await crawled(http)
            assert any("/change/" in url for url in pages)
            urls = referenced(pages)
            names = {url.removeprefix("/static/") for url in urls}
            assert names > OWN | {"own/form.css", "own/form.js"}
            assert names & SIGNS
            # The libraries that widgets and the form name, and no other of Django's.
            assert "admin/js/jquery.init.js" in names
            djangos = {n for n in names if n.startswith("admin/")}
            assert djangos <= SIGNS | LIBRARIES
            for url in urls:
                assert (await http.get(url)).status_code == 200, url
            for name in ("js/core.js", "css/base.css", "img/search.svg", "js/", ""):
                url = f"/static/admin/{name}"
                assert (await http.get(url)).status_code == 404, url
    finders.get_finder.cache_clear()


async def test_every_file_that_a_page_names_is_collected_under_its_hash(
    db: Any, own: Path, tmp_path: Path
) -> None:
    await some_albums()
    with collected(tmp_path / "root", own):
        async with administering(site=site, MIDDLEWARE=MIDDLEWARE) as http:
            urls = referenced(await crawled(http))
            # The three of vinyl, the two of the form, and signs for true and false.
            assert len(urls) > 5
            for url in urls:
                assert re.search(r"\.[0-9a-f]{12}\.\w+$", url), url
                assert (await http.get(url)).status_code == 200, url


def test_vinyls_files_are_collected_and_djangos_are_not(
    tmp_path: Path,
) -> None:
    with collected(tmp_path / "root") as names:
        assert names == OWN | SIGNS | LIBRARIES | {"staticfiles.json"} | {
            name for name in names if name.startswith("vinyl/")
        }


def test_a_project_can_have_djangos_files_by_listing_their_folder(
    tmp_path: Path,
) -> None:
    with collected(tmp_path / "root", ("admin", DJANGOS)) as names:
        assert "admin/js/core.js" in names
        assert finders.find("admin/js/core.js") == str(DJANGOS / "js" / "core.js")


def test_the_signs_have_the_names_that_django_gives_them() -> None:
    for name in SIGNS:
        assert (DJANGOS.parent / name).is_file()


def test_a_finder_of_some_apps_only() -> None:
    found = finders.AppDirectoriesFinder(["django.contrib.admin"])
    assert {path for path, _ in found.list([])} == SIGNS | OWN | LIBRARIES
    for name in LIBRARIES:
        assert found.find(name) == str(DJANGOS.parent / name)
    for name in ("admin/js/core.js", "admin/js/../js/jquery.init.js", "admin/nothing"):
        assert not found.find(name)
    assert finders.AppDirectoriesFinder(["tests.records"]).storages == {}


def test_media_keep_what_is_not_djangos_in_their_order() -> None:
    from vinyl.web.admin.tags import media

    own = Media(
        css={"print": ["a.css", "admin/css/base.css"]},
        js=["b.js", "admin/js/core.js", "shop/admin/js/c.js", "https://e.org/d.js"],
    )
    assert addresses(media(own)) == [
        "/static/a.css",
        "/static/b.js",
        "/static/shop/admin/js/c.js",
        "https://e.org/d.js",
    ]


@pytest.mark.parametrize(
    ("js", "expected"),
    [
        ([INIT, "own.js"], [JQUERY, INIT, "own.js"]),
        (["first.js", Script(INIT)], ["first.js", JQUERY, INIT]),
        # As Django's page of a site under development.
        ([UNMINIFIED, INIT, "own.js"], [UNMINIFIED, INIT, "own.js"]),
        (["own.js", "admin/js/core.js"], ["own.js"]),
    ],
    ids=["alone", "as an asset", "with jQuery", "not asked for"],
)
def test_media_that_name_djangos_jquery_have_all_of_it(
    js: list[Any], expected: list[str]
) -> None:
    from vinyl.web.admin.tags import media

    assert addresses(media(Media(js=js))) == [f"/static/{name}" for name in expected]


def addresses(tags: list[Any]) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', " ".join(map(str, tags)))
