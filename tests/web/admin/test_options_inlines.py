"""The forms of inlines and hidden fields: all that is posted back, and all errors."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc, override"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django.contrib.admin
import django.forms
import pytest
from django import forms
from django.contrib.contenttypes.admin import GenericStackedInline, GenericTabularInline
from django.core.exceptions import ValidationError
from django.db import models
from django.test import override_settings

from tests.records.models import Album, Artist, Biography, Label, Tag, Track
from tests.web.admin.administering import administering, superuser, text, user
from tests.web.http.posting import Page
from vinyl.web.admin import AdminSite, ModelAdmin, StackedInline, TabularInline

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

HIDDEN = {"widget": forms.HiddenInput}


class HiddenTracks(TabularInline):
    model = Track
    extra = 1
    formfield_overrides = {models.IntegerField: HIDDEN}


class HiddenTracksStacked(StackedInline):
    model = Track
    extra = 1
    formfield_overrides = {models.IntegerField: HIDDEN}


class TrackForm(forms.ModelForm):
    secret = forms.CharField(widget=forms.HiddenInput, required=False, initial="s")

    class Meta:
        model = Track
        fields = ["position", "title", "secret"]
        widgets = {"position": forms.HiddenInput}

    def clean_position(self) -> int:
        if self.cleaned_data["position"] > 99:
            raise ValidationError("There are 99 at most.")
        return self.cleaned_data["position"]

    def clean(self) -> None:
        if self.cleaned_data.get("title") == "refused":
            raise ValidationError("Such a row is refused.")


class TracksByForm(TabularInline):
    model = Track
    form = TrackForm
    extra = 1


class TracksByFormStacked(StackedInline):
    model = Track
    form = TrackForm
    extra = 0


class ReadOnlyTracks(TabularInline):
    model = Track
    extra = 0
    readonly_fields = ["position"]
    fields = ["position"]


class HiddenAndReadOnly(TabularInline):
    model = Track
    form = TrackForm
    readonly_fields = ["position"]
    extra = 1


class Tags(GenericTabularInline):
    model = Tag
    extra = 1
    formfield_overrides = {models.CharField: HIDDEN}


class TagsStacked(GenericStackedInline):
    model = Tag
    extra = 1


class Pairs(TabularInline):
    """With the foreign key and two fields in a line."""

    model = Track
    extra = 1
    fields = [("album", "title"), "position"]


class Folded(TabularInline):
    model = Track
    extra = 1
    classes = ["collapse"]
    max_num = 3
    min_num = 2
    verbose_name_plural = "songs"


class Unchangeable(TabularInline):
    model = Track
    extra = 1
    can_delete = False
    formfield_overrides = {models.IntegerField: HIDDEN}

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False


class Viewed(Unchangeable):
    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return False


INLINES: list[Any] = [
    HiddenTracks,
    HiddenTracksStacked,
    TracksByForm,
    TracksByFormStacked,
    ReadOnlyTracks,
    HiddenAndReadOnly,
    Tags,
    TagsStacked,
    Pairs,
    Folded,
    Unchangeable,
    Viewed,
]


class BiographyTabular(TabularInline):
    """Of a model with one row at most."""

    model = Biography


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["title", "year", "notes", "label"]
        widgets = {"year": forms.HiddenInput, "label": forms.HiddenInput}


def site_with(*inlines: Any, **options: Any) -> AdminSite:
    site = AdminSite()
    options = {"fields": ["title"], **options}
    site.register(Album, inlines=inlines, **options)
    site.register([Artist, Label])
    return site


async def an_album() -> tuple[Album, str]:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    label = await Label.objects.create(name="Philips")
    album = await Album.objects.create(
        title="Pastel Blues", artist=artist, label=label, notes="Sinnerman & <more>"
    )
    await Track.objects.create(album=album, title="Be My Husband", position=1)
    await Track.objects.create(album=album, title="Sinnerman", position=9)
    await album.tags.create(word="live")
    return album, f"/admin/records/album/{album.pk}/change/"


async def everything() -> list[Any]:
    """All that is saved, to compare."""
    return [
        [row async for row in model.objects.order_by("pk").values()]
        for model in (Artist, Label, Album, Track, Tag, Biography)
    ]


@contextmanager
def djangos_templates() -> Iterator[None]:
    """Django's own templates for fieldsets and inlines, and the same admin."""
    packages = (django.contrib.admin, django.forms)
    folders = [str(Path(one.__file__).parent / "templates") for one in packages]
    page = (
        "<form>{% for fieldset in adminform %}"
        '{% include "admin/includes/fieldset.html" %}{% endfor %}'
        "{% for inline_admin_formset in inline_admin_formsets %}"
        "{% include inline_admin_formset.opts.template %}{% endfor %}</form>"
    )
    loaders = [
        ("django.template.loaders.locmem.Loader", {"admin/change_form.html": page}),
        ("django.template.loaders.filesystem.Loader", folders),
    ]
    engine = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": loaders},
    }
    with override_settings(TEMPLATES=[engine]):
        yield


def comparable(page: Page) -> dict[str, list[str]]:
    """What is posted, without the empty form for scripts, which Django's page posts."""
    return {
        name: values for name, values in page.posted.items() if "__prefix__" not in name
    }


SITES: dict[str, AdminSite] = {
    **{inline.__name__: site_with(inline) for inline in INLINES},
    "several": site_with(HiddenTracks, Tags, ReadOnlyTracks),
    "the main form": site_with(form=AlbumForm, fields=None),
    "fieldsets": site_with(
        form=AlbumForm,
        fields=None,
        fieldsets=[
            (None, {"fields": ["title", ("year", "label")], "description": "<b>d</b>"}),
            ("More", {"fields": [("notes",)], "classes": ["collapse", "wide"]}),
        ],
    ),
    "a raw key": site_with(fields=["title", "artist"], raw_id_fields=["artist"]),
}


@pytest.mark.parametrize("adds", [False, True], ids=["change", "add"])
@pytest.mark.parametrize("name", SITES)
async def test_the_form_posts_what_djangos_does(name: str, adds: bool) -> None:
    _, url = await an_album()
    if adds:
        url = "/admin/records/album/add/"
    async with administering(site=SITES[name]) as http:
        ours = await http.get(url)
        with djangos_templates():
            theirs = await http.get(url)
    expected, found = Page(theirs.text), Page(ours.text)
    assert expected.posted
    # What vinyl's form was made from.
    version = found.posted.pop("_version", None)
    assert adds or version
    assert found.posted.pop("_author")
    found.hidden -= {"_version", "_author"}
    assert comparable(expected) == found.posted
    hidden = {name for name in expected.hidden if "__prefix__" not in name}
    assert found.hidden == hidden


@pytest.mark.parametrize("name", SITES)
async def test_what_is_posted_back_changes_nothing(name: str) -> None:
    _, url = await an_album()
    before = await everything()
    async with administering(site=SITES[name]) as http:
        page = Page((await http.get(url)).text)
        response = await http.post(url, data={**page.posted, "_save": "1"})
        assert response.status_code == 302, text(response)
    assert await everything() == before


@pytest.mark.parametrize("inline", [HiddenTracks, HiddenTracksStacked, TracksByForm])
async def test_hidden_values_are_saved_with_the_row(inline: Any) -> None:
    album, url = await an_album()
    async with administering(site=site_with(inline)) as http:
        data = Page((await http.get(url)).text).posted
        data["tracks-1-title"] = ["Sinnerman (live)"]
        data["tracks-2-title"] = ["Added"]
        data["tracks-2-position"] = ["7"]
        assert (await http.post(url, data=data)).status_code == 302
    found = {track.title: track.position async for track in album.tracks.all()}
    assert found == {"Be My Husband": 1, "Sinnerman (live)": 9, "Added": 7}


@pytest.mark.parametrize("inline", [TracksByForm, TracksByFormStacked])
async def test_errors_of_hidden_fields_and_of_rows_are_shown(inline: Any) -> None:
    _, url = await an_album()
    before = await everything()
    async with administering(site=site_with(inline)) as http:
        data = Page((await http.get(url)).text).posted
        data["tracks-0-position"] = ["100"]
        data["tracks-1-title"] = ["refused"]
        shown = text(await http.post(url, data=data))
        assert "(Hidden field position) There are 99 at most." in shown
        assert "Such a row is refused." in shown
        data["tracks-0-id"] = ["999999"]
        shown = text(await http.post(url, data=data))
        assert "deleted this row meanwhile" in shown
        data["tracks-TOTAL_FORMS"] = ["many"]
        assert "ManagementForm" in text(await http.post(url, data=data))
    assert await everything() == before


async def test_errors_of_hidden_fields_of_the_main_form() -> None:
    _, url = await an_album()
    for name in ("the main form", "fieldsets"):
        async with administering(site=SITES[name]) as http:
            data = {**Page((await http.get(url)).text).posted, "year": ["<soon>"]}
            page = await http.post(url, data=data)
            assert "(Hidden field year) Enter a whole number." in text(page)
            assert Page(page.text).posted["year"] == ["<soon>"]


async def test_hidden_fields_of_a_change_list() -> None:
    await an_album()
    site = AdminSite()
    site.register(
        Track,
        list_display=["title", "position"],
        list_editable=["position"],
        formfield_overrides={models.IntegerField: HIDDEN},
    )
    url = "/admin/records/track/"
    before = await everything()
    async with administering(site=site) as http:
        data = Page((await http.get(url)).text).posted
        # The first form of the page has been the search; the rows are the last.
        assert {"form-0-id", "form-0-position", "form-1-position"} <= set(data)
        data = {n: v for n, v in data.items() if n not in ("_selected_action",)}
        assert (await http.post(url, data={**data, "_save": "1"})).status_code == 302
        assert await everything() == before
        bad = {**data, "form-0-position": ["x"], "_save": "1"}
        assert text(await http.post(url, data=bad)).count("whole number") == 1
        bad = {**data, "form-0-id": ["999999"], "_save": "1"}
        shown = text(await http.post(url, data=bad))
        assert "deleted this row meanwhile" in shown
    assert await everything() == before


@pytest.mark.parametrize("inline", [ReadOnlyTracks, HiddenTracks, Unchangeable, Viewed])
async def test_each_row_bears_the_name_of_its_object(inline: Any) -> None:
    _, url = await an_album()
    async with administering(site=site_with(inline)) as http:
        page = Page((await http.get(url)).text)
    headings, *rows = [row for row in page.rows if row]
    assert [row[0] for row in rows[:2]] == ["Be My Husband", "Sinnerman"]
    assert {len(row) for row in rows} == {len(headings)}


async def test_inlines_without_change_permission_show_names() -> None:
    _, url = await an_album()
    await user("bob", "view_album", "view_track")
    async with administering("bob", site=site_with(ReadOnlyTracks)) as http:
        page = Page((await http.get(url)).text)
    assert [row[0] for row in page.rows if row][1:] == ["Be My Husband", "Sinnerman"]


class Linked(TabularInline):
    model = Track
    extra = 1
    show_change_link = True


class LinkedStacked(StackedInline):
    model = Track
    extra = 1
    show_change_link = True


class Unlinked(TabularInline):
    model = Track


@pytest.mark.parametrize("inline", [Linked, LinkedStacked, Unlinked])
async def test_a_link_to_the_page_of_each_row(inline: Any) -> None:
    album, url = await an_album()
    expected = [
        f"/admin/records/track/{t.pk}/change/" async for t in album.tracks.all()
    ]

    def links(page: Any) -> list[str]:
        return [link for link in Page(page.text).links if "/records/track/" in link]

    unregistered = site_with(inline)
    site = site_with(inline)
    # The sidebar of the site would link to its list.
    site.enable_nav_sidebar = unregistered.enable_nav_sidebar = False
    site.register(Track)
    await user("bob", "change_album", "view_track")
    async with administering(site=site) as http:
        page = await http.get(url)
        assert links(page) == ([] if inline is Unlinked else expected)
        assert ("Change</a>" in page.text) is (inline is not Unlinked)
        popup = await http.get(f"{url}?_popup=1")
        in_popup = [f"{link}?_popup=1" for link in expected]
        assert links(popup) == ([] if inline is Unlinked else in_popup)
        assert links(await http.get("/admin/records/album/add/")) == []
    async with administering(site=unregistered) as http:
        assert links(await http.get(url)) == []
    async with administering("bob", site=site) as http:
        page = await http.get(url)
        assert links(page) == ([] if inline is Unlinked else expected)
        assert "Change</a>" not in page.text


class Closed(ModelAdmin):
    """Of a model that its own page is not for."""

    async def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    async def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False


async def test_no_link_to_a_page_that_a_visitor_may_not_see() -> None:
    _, url = await an_album()
    site = site_with(Linked)
    site.enable_nav_sidebar = False
    site.register(Track, Closed)
    async with administering(site=site) as http:
        page = await http.get(url)
    assert "Sinnerman" in text(page)
    assert "/admin/records/track/" not in page.text


class OnSite(TabularInline):
    model = Track
    extra = 1

    def view_on_site(self, track: Track) -> str:
        return f"/tracks/{track.position}/"


async def test_a_link_to_each_row_on_the_site() -> None:
    _, url = await an_album()
    async with administering(site=site_with(OnSite)) as http:
        page = Page((await http.get(url)).text)
    assert [link for link in page.links if link.startswith("/tracks/")] == [
        "/tracks/1/",
        "/tracks/9/",
    ]


class Helped(TabularInline):
    model = Track

    class Form(forms.ModelForm):
        class Meta:
            model = Track
            fields = ["title"]
            labels = {"title": "name of it"}
            help_texts = {"title": "As on the <i>sleeve</i>."}

    form = Form


async def test_headings_have_labels_and_help() -> None:
    _, url = await an_album()
    async with administering(site=site_with(Helped)) as http:
        page = await http.get(url)
    assert Page(page.text).rows[0][1] == "Name of it As on the sleeve ."


async def test_a_folded_inline_is_open_where_it_has_errors() -> None:
    _, url = await an_album()
    site = SITES["Folded"]
    async with administering(site=site) as http:
        page = await http.get(url)
        section = page.text.partition('<section class="inline collapse"')[2]
        assert "<details>" in section
        assert "Songs" in section
        data = {**Page(page.text).posted, "tracks-0-title": [""]}
        page = await http.post(url, data=data)
        section = page.text.partition('<section class="inline collapse"')[2]
        assert "This field is required." in section
        assert "<details>" not in section


async def test_one_row_at_most() -> None:
    await an_album()
    artist = await Artist.objects.get()
    await Biography.objects.create(artist=artist, text="Born\nin Tryon")
    site = AdminSite()
    site.register(Artist, inlines=[BiographyTabular])
    url = f"/admin/records/artist/{artist.pk}/change/"
    before = await everything()
    async with administering(site=site) as http:
        page = await http.get(url)
        assert "Biography of Nina Simone" in text(page)
        data = Page(page.text).posted
        assert (await http.post(url, data=data)).status_code == 302
    assert await everything() == before
