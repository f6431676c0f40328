"""The widgets of foreign keys and many-to-many relations, by number of objects."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, func-returns-value, misc"

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import QueryDict

from tests.records.models import Album, Artist, Genre, Label
from tests.web.admin.administering import administering, superuser, text, user
from tests.web.admin.test_options import LIST, posted
from vinyl.web.admin import AdminSite, ModelAdmin
from vinyl.web.admin.related import RawKeys

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

NAMES = {"search_fields": ["name"]}


def site_with(**options: Any) -> AdminSite:
    """A site for which four objects are many."""
    site = AdminSite()
    site.autocomplete_threshold = 3
    site.register(Album, **options)
    return site


def kind(page: Any, name: str) -> str:
    """The widget of a field."""
    if tag := re.search(rf'<select name="{name}"[^>]*>', page.text):
        return "complete" if "admin-autocomplete" in tag[0] else "select"
    [tag] = re.findall(rf'<input[^>]* name="{name}"[^>]*>', page.text)
    return "raw" if "RawIdAdminField" in tag else "key"


async def many(model: Any, number: int = 4) -> None:
    await model.objects.bulk_create(model(name=f"Name {i}") for i in range(number))


async def test_many_objects_are_completed_and_never_loaded(queries: list[str]) -> None:
    await superuser()
    for model in (Artist, Genre):
        await many(model, 4)
    await many(Label, 3)
    site = site_with()
    site.register([Artist, Genre, Label], **NAMES)
    chosen = await Artist.objects.get(name="Name 2")
    async with administering(site=site) as http:
        queries.clear()
        page = await http.get(f"{LIST}add/")
        assert kind(page, "artist") == kind(page, "genres") == "complete"
        # Three are not too many.
        assert kind(page, "label") == "select"
        assert page.text.count("Name 0") == 1
        counts = [sql for sql in queries if "records_artist" in sql]
        assert len(counts) == 1
        assert "LIMIT 4" in counts[0]
        queries.clear()
        genres = [genre.pk async for genre in Genre.objects.all()[:2]]
        label = await Label.objects.aget(name="Name 0")
        data = posted(chosen, label=label.pk, genres=genres, title="")
        page = await http.post(f"{LIST}add/", data=data)
        assert f'<option value="{chosen.pk}" selected>Name 2<' in page.text
        for sql in queries:
            if "records_artist" in sql or "records_genre" in sql:
                assert "LIMIT" in sql or "WHERE" in sql, sql
        data["title"] = "Pastel Blues"
        response = await http.post(f"{LIST}add/", data=data)
        assert response.headers["location"] == LIST
    album = await Album.objects.get()
    assert album.artist_id == chosen.pk
    assert {g.pk async for g in album.genres.all()} == {*genres}


async def test_what_is_no_key_is_an_error_of_the_field() -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    site = site_with(autocomplete_fields=["artist", "label", "genres"])
    site.register([Artist, Genre, Label], **NAMES)
    async with administering(site=site) as http:
        for key in ("x", "\0", "9" * 30, "-1", "1.5"):
            for name in ("artist", "genres"):
                page = await http.get(f"{LIST}add/", params={name: key})
                assert kind(page, name) == "complete"
            if key.isdigit():
                # Refused as a whole on SQLite.
                continue
            data = posted(artist, label=key, genres=[key], title="Typed")
            page = await http.post(f"{LIST}add/", data=data)
            shown = text(page)
            assert "Select a valid choice" in shown or "Null characters" in shown
            assert 'value="Typed"' in page.text
    assert await Album.objects.count() == 0


async def test_without_search_fields_it_takes_keys() -> None:
    await superuser()
    await many(Artist)
    await many(Genre)
    site = site_with()
    site.register([Artist, Genre])
    async with administering(site=site) as http:
        page = await http.get(f"{LIST}add/")
        assert kind(page, "artist") == kind(page, "genres") == "raw"
        assert 'href="/admin/records/artist/?_to_field=id"' in page.text
        artist = await Artist.objects.afirst()
        genres = [genre.pk async for genre in Genre.objects.all()]
        label = await Label.objects.create(name="Philips")
        data = posted(artist, label=label.pk, genres=",".join(map(str, genres)))
        response = await http.post(f"{LIST}add/", data=data)
        assert response.status_code == 302, text(response)
    album = await Album.objects.get()
    assert await album.genres.count() == 4


async def test_what_a_visitor_may_not_look_up_is_a_list_up_to_a_limit(
    monkeypatch: Any,
) -> None:
    await many(Artist)
    await user("bob", "add_album", "view_album", "view_genre")
    await many(Genre)
    site = site_with()
    site.register([Artist, Genre], **NAMES)
    async with administering("bob", site=site) as http:
        page = await http.get(f"{LIST}add/")
        assert kind(page, "artist") == "select"
        assert kind(page, "genres") == "complete"
        monkeypatch.setattr("vinyl.web.admin.related.MAX_OPTIONS", 3)
        page = await http.get(f"{LIST}add/")
        assert kind(page, "artist") == "raw"


async def test_a_project_decides() -> None:
    await superuser()
    for model in (Artist, Genre, Label):
        await many(model)
    sites = {
        "complete": site_with(),
        "select": site_with(autocomplete_threshold=None),
    }
    for expected, site in sites.items():
        site.register([Artist, Genre, Label], **NAMES)
        async with administering(site=site) as http:
            page = await http.get(f"{LIST}add/")
            assert kind(page, "artist") == expected

    class Restricted(ModelAdmin):
        filter_horizontal = ["genres"]
        raw_id_fields = ["label"]

        def formfield_for_foreignkey(
            self, db_field: Any, request: Any, **kw: Any
        ) -> Any:
            if db_field.name == "artist":
                kw["queryset"] = Artist.objects.filter(name="Name 1")
            return super().formfield_for_foreignkey(db_field, request, **kw)

    site = AdminSite()
    site.autocomplete_threshold = 3
    site.register(Album, Restricted)
    site.register([Artist, Genre, Label], **NAMES)
    async with administering(site=site) as http:
        page = await http.get(f"{LIST}add/")
        # One object is left to choose from.
        assert kind(page, "artist") == "select"
        assert kind(page, "genres") == "select"
        assert kind(page, "label") == "raw"


async def test_limit_choices_to_counts(monkeypatch: Any) -> None:
    await superuser()
    await many(Artist)
    relation = Album._meta.get_field("artist").remote_field
    monkeypatch.setattr(relation, "limit_choices_to", {"name__in": ["Name 1"]})
    site = site_with()
    site.register(Artist, **NAMES)
    async with administering(site=site) as http:
        page = await http.get(f"{LIST}add/")
        assert kind(page, "artist") == "select"
        assert "Name 2" not in page.text
        found = await http.get(
            "/admin/autocomplete/?app_label=records&model_name=album&field_name=artist"
        )
        assert [one["text"] for one in found.json()["results"]] == ["Name 1"]


def test_keys_come_from_a_text_or_from_a_list() -> None:
    widget = RawKeys(Album._meta.get_field("genres").remote_field, AdminSite())
    for query, expected in {
        "g=1,2": ["1", "2"],
        "g=1&g=2": ["1", "2"],
        "g=": [],
        "": [],
    }.items():
        assert widget.value_from_datadict(QueryDict(query), {}, "g") == expected
    assert widget.value_from_datadict({"g": "1,2"}, {}, "g") == ["1", "2"]


LINKS = {
    "add": "/admin/records/artist/add/?_to_field=id&amp;_popup=1",
    "change": "/admin/records/artist/__fk__/change/?_to_field=id&amp;_popup=1",
    "view": "/admin/records/artist/__fk__/change/?_to_field=id",
}


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        ((), []),
        (("view_artist",), ["view"]),
        (("view_artist", "add_artist"), ["view", "add"]),
        (("change_artist",), ["change"]),
        (("change_artist", "add_artist", "delete_artist"), ["change", "add"]),
    ],
)
async def test_links_to_related_objects_follow_the_permissions(
    permissions: tuple[str, ...], expected: list[str]
) -> None:
    await many(Artist, 1)
    await user("bob", "add_album", "change_album", *permissions)
    site = site_with(fields=["title", "artist"])
    site.register(Artist, **NAMES)
    artist = await Artist.objects.get()
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    async with administering("bob", site=site) as http:
        page = await http.get(f"{LIST}{album.pk}/change/")
    # A foreign key that cascades has no link to delete what it points to.
    links = re.findall(r'<a [^>]*data-related="(\w+)"[^>]*>', page.text)
    assert links == expected
    for action in expected:
        [link] = re.findall(rf'<a [^>]*data-related="{action}"[^>]*>', page.text)
        assert LINKS[action] in link
        assert 'target="_blank"' in link
        # Without scripts it leads to the object that is chosen.
        # Django 6 adds the model that refers to it.
        assert f' href="{LINKS[action].replace("__fk__", str(artist.pk))}' in link


async def test_a_nullable_key_has_a_link_to_delete_the_object() -> None:
    await superuser()
    await many(Label, 1)
    site = site_with(fields=["title", "label"])
    site.register(Label, **NAMES)
    async with administering(site=site) as http:
        page = await http.get(f"{LIST}add/")
    [link] = re.findall(r'<a [^>]*data-related="delete"[^>]*>', page.text)
    # Nothing is chosen yet.
    assert "hidden" in link
    assert " href=" not in link
