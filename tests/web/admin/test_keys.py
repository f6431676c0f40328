"""Keys that are larger than any column can have."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

from typing import Any

import pytest
from django import forms

from tests.records.models import Album, Genre, Label, Review, Track
from tests.web.admin.administering import (
    AlbumAdmin,
    administering,
    an_album,
    superuser,
    text,
)
from tests.web.http.posting import Page
from vinyl.web.admin import AdminSite, ModelAdmin
from vinyl.web.admin.keys import is_key

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

HUGE = str(10**30)


class Genres(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic at runtime
    """A project's own field."""


class AlbumForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    genres = Genres(Genre.objects.all(), required=False)

    class Meta:
        model = Album
        fields = ["title", "year", "released", "notes", "artist", "label", "genres"]


class Listed(ModelAdmin):
    list_display = ["title", "label", "year"]
    list_editable = ["label", "year"]
    list_filter = ["label", "genres"]
    form = AlbumForm


class Plain(AlbumAdmin):
    raw_id_fields = ["genres"]


class Completing(AlbumAdmin):
    raw_id_fields: list[str] = []
    autocomplete_fields = ["artist", "genres"]


class Searched(ModelAdmin):
    search_fields = ["name"]


def site_of(album_admin: type[ModelAdmin]) -> AdminSite:
    site = AdminSite()
    site.register(Album, album_admin)
    site.register([Album.artist.field.related_model, Genre, Label], Searched)
    site.register(Review)
    return site


def posted(album: Album, **changes: Any) -> dict[str, Any]:
    return {
        "title": "Changed",
        "year": "1965",
        "released": "1965-10-01",
        "notes": "n",
        "artist": album.artist_id,
        "tracks-TOTAL_FORMS": "1",
        "tracks-INITIAL_FORMS": "0",
        **changes,
    }


@pytest.mark.parametrize("options", [AlbumAdmin, Plain, Completing, Listed])
async def test_a_huge_key_is_an_error_of_its_field(
    options: type[ModelAdmin],
) -> None:
    await superuser()
    album = await an_album()
    genre = await Genre.objects.create(name="Jazz")
    async with administering(site=site_of(options)) as http:
        url = f"/admin/records/album/{album.pk}/change/"
        for field in ("artist", "label", "genres"):
            value: Any = HUGE
            if field == "genres":
                # Raw keys stand between commas.
                value = f"{genre.pk},{HUGE}" if options is Plain else [genre.pk, HUGE]
            page = await http.post(url, data=posted(album, **{field: value}))
            assert "Select a valid choice." in text(page), field
            fields = Page(page.text).posted
            assert fields["title"] == ["Changed"]
            if options is Plain and field == "genres":
                assert fields["genres"] == [value]
            elif field == "genres":
                assert fields["genres"] == [str(genre.pk)]
    await album.refresh_from_db()
    assert album.title == "Pastel Blues"


async def test_a_huge_key_in_inlines() -> None:
    await superuser()
    album = await an_album()
    track = await Track.objects.create(album=album, title="Be My Husband")
    async with administering(site=site_of(AlbumAdmin)) as http:
        url = f"/admin/records/album/{album.pk}/change/"
        data = posted(
            album,
            **{
                "tracks-INITIAL_FORMS": "1",
                "tracks-0-id": HUGE,
                "tracks-0-album": HUGE,
                "tracks-0-title": "Typed",
                "tracks-0-position": "1",
            },
        )
        page = await http.post(url, data=data)
        assert "Please correct the error" in text(page)
        assert Page(page.text).posted["tracks-0-title"] == ["Typed"]
    await track.refresh_from_db()
    assert track.title == "Be My Husband"


async def test_a_huge_key_in_a_list() -> None:
    await superuser()
    album = await an_album()
    data = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": album.pk,
        "form-0-label": HUGE,
        "form-0-year": "1999",
        "_save": "Save",
    }
    url = "/admin/records/album/"
    async with administering(site=site_of(Listed)) as http:
        page = await http.post(url, data=data)
        assert "Select a valid choice." in text(page)
        assert Page(page.text).posted["form-0-year"] == ["1999"]
        page = await http.post(
            url, data={**data, "form-0-label": "", "form-0-id": HUGE}
        )
        assert "Please correct the error" in text(page)
        for action in ("delete_selected", "export"):
            chosen = {"action": action, "_selected_action": [album.pk, HUGE]}
            page = await http.post(url, data={**chosen, "post": "yes"})
            assert page.status_code == 302
            assert "No action selected" in text(await http.get(url))
    await album.refresh_from_db()
    assert album.year == 1965


@pytest.mark.parametrize("several", [False, True], ids=["few", "many"])
async def test_a_huge_key_in_a_query_string(
    several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await superuser()
    album = await an_album()
    await Label.objects.bulk_create([Label(name=f"{n}") for n in range(3)])
    if several:
        monkeypatch.setattr("vinyl.web.admin.filters.MAX_CHOICES", 1)
    names = ("label__id__exact", "label__id__in", "genres__id__exact", "label__exact")
    async with administering(site=site_of(Listed)) as http:
        for name in (*names, "id__in", "id", "year__gt", "p", "after", "before"):
            for value in (f"-{HUGE}", f"1,{HUGE}"):
                url = f"/admin/records/album/?{name}={value}"
                page = await http.get(url, follow_redirects=True)
                assert page.status_code == 200, url
        for url in (
            f"{HUGE}/change/",
            f"{HUGE}/delete/",
            f"{HUGE}/history/",
            f"add/?artist={HUGE}&genres={HUGE}&genres=1,{HUGE}",
            f"{album.pk}/change/?_to_field=id",
        ):
            page = await http.get(f"/admin/records/album/{url}", follow_redirects=True)
            assert page.status_code == 200, url
        complete = "/admin/autocomplete/"
        query = {"app_label": "records", "model_name": "album", "field_name": "artist"}
        for term, number in ((HUGE, "1"), ("a", HUGE), ("a", f"-{HUGE}")):
            params = {**query, "term": term, "page": number}
            answer = await http.get(complete, params=params)
            assert answer.status_code in (200, 400, 404), (term, number)


async def test_is_key() -> None:
    pk = Album._meta.pk
    assert is_key(pk, "1")
    assert is_key(Track._meta.get_field("album"), "1")
    # A parent link.
    assert is_key(Review._meta.pk, "1")
    bad: Any
    for bad in (HUGE, f"-{HUGE}", "x", "", "\0", None, [], "9" * 5000):
        for field in (pk, Track._meta.get_field("album"), Review._meta.pk):
            assert not is_key(field, bad), bad
    assert is_key(Label._meta.get_field("name"), HUGE)
    assert not is_key(Label._meta.get_field("name"), "a\0")
