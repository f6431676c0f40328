"""Options of lists have Django's meaning, and every method of Django's is called."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, assignment, attr-defined, misc"

from __future__ import annotations

import inspect
import re
from typing import Any

import django
import pytest
from django import forms
from django.contrib import admin as djangos
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.options import BaseModelAdmin, InlineModelAdmin
from django.test import override_settings

from tests.records.models import Album, Artist, Label, Track
from tests.web.admin.administering import (
    administering,
    an_album,
    log_in,
    superuser,
    text,
    user,
)
from tests.web.http.posting import Page
from vinyl.orm import run
from vinyl.web.admin import AdminSite, ModelAdmin, ShowFacets, TabularInline

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"


class Choosing(ActionForm):
    reason = forms.CharField(required=False, label="Reason")


def by_reason(modeladmin: Any, request: Any, queryset: Any) -> None:
    queryset.update(notes=request.POST["reason"])


async def test_options_of_a_list() -> None:
    await superuser()
    for year in (1958, 1965, 1972):
        await an_album(title=f"Album {year}", year=year)
    site = AdminSite()
    site.register(
        Album,
        list_display=["title", "year", "label"],
        list_display_links=["year"],
        list_filter=["year"],
        sortable_by=["title"],
        ordering=["-year"],
        search_fields=["title"],
        search_help_text="By <title>",
        list_per_page=2,
        list_max_show_all=10,
        empty_value_display="nothing",
        actions=[by_reason],
        action_form=Choosing,
        actions_on_top=False,
        actions_on_bottom=True,
        actions_selection_counter=False,
        show_facets=ShowFacets.ALWAYS,
        preserve_filters=False,
        fields=["title", "artist"],
    )
    async with administering(site=site) as http:
        page = await http.get(LIST)
        shown = text(page)
        assert shown.index("Album 1972") < shown.index("Album 1965")
        assert "Album 1958" not in shown
        assert "nothing" in shown
        assert "By &lt;title&gt;" in page.text
        assert "1965 (1)" in shown
        assert "data-counter" not in page.text
        album = await Album.objects.get(year=1965)
        assert re.search(rf'href="{LIST}{album.pk}/change/">1965</a>', page.text)
        heads = re.search(r"<thead>.*?</thead>", page.text, re.DOTALL)
        assert heads is not None
        assert len(set(re.findall(r'href="\?o=([^"]*)"', heads[0]))) == 1
        assert page.text.count('name="action"') == 1
        table = page.text.index("</table>")
        assert page.text.index('name="action"') > table
        [everything] = {link for link in Page(page.text).links if "all=" in link}
        assert "Album 1958" in text(await http.get(f"{LIST}{everything}"))
        data = {
            "action": "by_reason",
            "index": "0",
            "reason": "sold",
            "_selected_action": str(album.pk),
        }
        assert (await http.post(LIST, data=data)).status_code == 302
        await album.refresh_from_db()
        assert album.notes == "sold"
        url = f"{LIST}{album.pk}/change/?_changelist_filters=year%3D1965"
        data = {"title": "At Last", "artist": str(album.artist_id)}
        response = await http.post(url, data=data)
        assert response.headers["location"] == LIST


# ----- Methods

# By class, the methods that are not called on the way, and why.
NOT_CALLED: dict[str, dict[str, str]] = {
    "ModelAdmin": {
        "formfield_for_choice_field": "For a field with choices.",
    },
    "AdminSite": {
        "disable_action": "For admin.py.",
        "get_action": "For code of a project.",
        "unregister": "For admin.py.",
    },
    "InlineModelAdmin": {},
}


def methods_of(*classes: type) -> set[str]:
    return {
        name
        for cls in classes
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def recording(base: type, names: set[str], calls: set[str], **attributes: Any) -> Any:
    """A subclass of *base* whose methods note their names in *calls*."""

    def method(name: str) -> Any:
        def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.add(name)
            return getattr(super(made, self), name)(*args, **kwargs)

        # Django looks at the parameters of some.
        recorded.__signature__ = inspect.signature(getattr(base, name))
        return recorded

    body = {**{name: method(name) for name in names}, **attributes}
    made = type(f"Recording{base.__name__}", (base,), body)
    return made


async def test_every_method_of_djangos_classes_is_called() -> None:
    called: dict[str, set[str]] = {name: set() for name in NOT_CALLED}
    of_inlines = methods_of(InlineModelAdmin)
    # Deprecated, and removed in Django 6.0: overriding it warns.
    of_models = methods_of(BaseModelAdmin, djangos.ModelAdmin) - {"log_deletion"}
    of_sites = methods_of(djangos.AdminSite)
    inline = recording(
        TabularInline, of_inlines, called["InlineModelAdmin"], model=Track, extra=1
    )
    album_admin = recording(
        ModelAdmin,
        of_models,
        called["ModelAdmin"],
        inlines=[inline],
        fields=["title", "artist", "label", "genres", "year", "released", "notes"],
        list_display=["title", "year"],
        list_editable=["year"],
        actions=[by_reason],
        search_fields=["title"],
        list_filter=["year"],
        autocomplete_fields=["artist"],
        view_on_site=lambda self, album: f"/albums/{album.pk}/",
    )
    site = recording(AdminSite, of_sites, called["AdminSite"])()
    site.register(Album, album_admin)
    site.register(Artist, search_fields=["name"])
    site.register(Label)
    await run(site.check, None)
    await superuser()
    label = await Label.objects.create(name="Verve")
    genre = await label.albums.model.genres.rel.model.objects.create(name="Jazz")
    album = await an_album(label=label, notes="n")
    one = f"{LIST}{album.pk}/"
    async with administering(site=site, raising=True) as http:
        await http.get("/admin/")
        await http.get("/admin/records/")
        await http.get("/admin/jsi18n/")
        await http.get("/admin/nothing/")
        await http.get("/admin/password_change/")
        await http.get("/admin/password_change/done/")
        await http.get(f"{LIST}?q=blues&year=1965")
        await http.get(
            "/admin/autocomplete/?app_label=records&model_name=album"
            "&field_name=artist&term=n"
        )
        data = Page((await http.get(f"{one}change/")).text).posted
        data |= {"genres": [str(genre.pk)], "tracks-0-title": ["Sinnerman"]}
        response = await http.post(f"{one}change/", data={**data, "_continue": "1"})
        assert response.status_code == 302, text(response)
        data = Page((await http.get(f"{one}change/")).text).posted
        assert (await http.post(f"{one}change/", data=data)).status_code == 302
        assert text(await http.get(f"{one}history/"))
        data = Page((await http.get(f"{LIST}add/?title=Second")).text).posted
        data |= {"genres": [str(genre.pk)], "artist": [str(album.artist_id)]}
        data |= {"label": [str(label.pk)], "notes": ["n"]}
        response = await http.post(f"{LIST}add/", data=data)
        assert response.status_code == 302, text(response)
        popup = f"{LIST}?_popup=1&_to_field=id"
        assert (await http.get(popup)).status_code == 200
        assert text(await http.get(f"{one}delete/"))
        response = await http.post(f"{one}delete/", data={"post": "yes"})
        assert response.status_code == 302
        second = await Album.objects.get()
        chosen = {"action": "delete_selected", "_selected_action": str(second.pk)}
        assert text(await http.post(LIST, data={**chosen, "index": "0"}))
        response = await http.post(LIST, data={**chosen, "post": "yes"})
        assert response.status_code == 302, text(response)
        await http.post("/admin/logout/")
        await user("bob", "view_album")
        await log_in(http, "bob")
        await http.get("/admin/")
    assert await Album.objects.count() == 0
    missed = {
        "InlineModelAdmin": of_inlines - called["InlineModelAdmin"],
        "ModelAdmin": of_models - called["ModelAdmin"],
        "AdminSite": of_sites - called["AdminSite"],
    }
    expected = {name: set(reasons) for name, reasons in NOT_CALLED.items()}
    assert missed == expected


# ----- Templates and texts

PAGES = {
    "change_list_template": LIST,
    "delete_confirmation_template": f"{LIST}1/delete/",
    "delete_selected_confirmation_template": "",
    "object_history_template": f"{LIST}1/history/",
    "popup_response_template": "",
}
PAGES_OF_SITES = {
    "index_template": "/admin/",
    "app_index_template": "/admin/records/",
    "password_change_template": "/admin/password_change/",
    "password_change_done_template": "/admin/password_change/done/",
    "login_template": "/admin/login/",
    "logout_template": "/admin/logout/",
}


@pytest.fixture
def own_page(tmp_path: Any) -> Any:
    (tmp_path / "own.html").write_text("Own page of {{ request.path }}")
    engine = {
        "BACKEND": "vinyl.web.templating.Jinja2",
        "DIRS": [tmp_path],
        "APP_DIRS": True,
    }
    with override_settings(TEMPLATES=[engine]):
        yield "own.html"


async def test_options_that_name_a_template(own_page: str) -> None:
    await superuser()
    album = await an_album()

    class Site(AdminSite):
        pass

    for name in PAGES_OF_SITES:
        setattr(Site, name, own_page)
    site = Site()
    site.register(Album, **{**dict.fromkeys(PAGES, own_page), "fields": ["title"]})
    async with administering(site=site) as http:
        for url in [*PAGES.values(), *PAGES_OF_SITES.values()]:
            url = url.replace("/1/", f"/{album.pk}/")
            if url.endswith(("login/", "logout/")) or not url:
                continue
            assert (await http.get(url)).text.startswith("Own page of"), url
        chosen = {"action": "delete_selected", "_selected_action": str(album.pk)}
        response = await http.post(LIST, data={**chosen, "index": "0"})
        assert response.text == f"Own page of {LIST}"
        url = f"{LIST}{album.pk}/change/"
        response = await http.post(
            f"{url}?_popup=1", data={"title": "x", "_popup": "1"}
        )
        assert response.text == f"Own page of {url}"
        assert (await http.post("/admin/logout/")).text.startswith("Own page of")
        assert (await http.get("/admin/login/")).text.startswith("Own page of")


class LoginForm(AdminAuthenticationForm):
    code = forms.CharField(label="The code")


async def test_options_of_a_site() -> None:
    await superuser()

    class Site(AdminSite):
        site_title = "Records' title"
        site_header = "Records' header"
        index_title = "Records' index"
        site_url = "/shop/"
        empty_value_display = "not there"
        login_form = LoginForm

    site = Site()
    site.register(Album, list_display=["title", "label"])
    await an_album()
    async with administering(None, site=site) as http:
        login = await http.get("/admin/login/")
        assert "The code" in login.text
        assert "Records&#39; header" in login.text
        data = {"username": "ada", "password": "secret", "code": "1", "next": "/admin/"}
        assert (await http.post("/admin/login/", data=data)).status_code == 302
        index = await http.get("/admin/")
        shown = text(index)
        for words in ("Records' title", "Records' header", "Records' index"):
            assert words in shown
        assert "/shop/" in Page(index.text).links
        listed = await http.get(LIST)
        assert "not there" in text(listed)
        assert 'class="side"' in listed.text
        site.enable_nav_sidebar = False
        assert 'class="side"' not in (await http.get(LIST)).text


@pytest.mark.skipif(django.VERSION < (6, 1), reason="It came with Django 6.1")
@pytest.mark.parametrize("limit", [0, 2])
async def test_how_much_a_deletion_lists(limit: int) -> None:
    await superuser()
    album = await an_album()
    for number in range(4):
        await Track.objects.create(album=album, title=f"Track {number}")
    site = AdminSite()
    site.register(Album, delete_confirmation_max_display=limit)
    site.register([Artist, Track])
    chosen = {"action": "delete_selected", "_selected_action": str(album.pk)}
    async with administering(site=site) as http:
        for page in (
            await http.get(f"{LIST}{album.pk}/delete/"),
            await http.post(LIST, data={**chosen, "index": "0"}),
        ):
            assert "Tracks: 4" in text(page)
            assert page.text.count("Track: ") == limit
