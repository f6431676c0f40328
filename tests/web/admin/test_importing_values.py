"""Values of an import: related objects, dates, and those that a project restricts."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ImproperlyConfigured

from tests.records.models import Album, Booklet, Genre, Label
from tests.web.admin.administering import MIDDLEWARE, administering, superuser, text
from tests.web.admin.administering import user as make_user
from tests.web.admin.test_importing import (
    URL,
    Importable,
    fields,
    site_with,
    some_albums,
    upload,
)
from vinyl.orm import run
from vinyl.web.admin import ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class WithGenres(Importable):
    import_fields = ("id", "title", "artist__name", "genres__name")
    export_fields = ("id", "title", "artist__name", "genres")


async def test_many_to_many_columns_are_shown_and_set(queries: list[str]) -> None:
    await superuser()
    [album, same] = await some_albums()
    genres = {n: await Genre.objects.create(name=n) for n in ("Jazz", "Soul", "Folk")}
    await album.genres.add(genres["Jazz"])
    await same.genres.add(genres["Soul"], genres["Folk"])
    table = (
        "id;title;artist__name;genres__name\n"
        f"{album.pk};{album.title};Nina Simone;Soul, Jazz\n"
        f'{same.pk};{same.title};Nina Simone;"[""Folk"", ""Soul""]"\n'
        ";Emergency Ward;Nina Simone;Soul\n"
    )
    async with administering(site=site_with(WithGenres)) as http:
        page = await http.post(URL, **upload(table))
        assert "1 to add, 1 to change, 1 unchanged" in text(page)
        assert "<del><bdi>Jazz</bdi></del>" in page.text
        assert "<ins><bdi>Jazz, Soul</bdi></ins>" in page.text
        assert [g.name async for g in album.genres.all()] == ["Jazz"]
        done = await http.post(URL, data={**fields(page), "save": "1"})
        assert "1 added, 1 changed, 1 unchanged." in text(done)
        # An export of lists is imported as it is, whatever they contain.
        exported = (await http.get("/admin/records/album/export/csv/")).text
        assert '"[""Jazz"", ""Soul""]"' in exported
        exported = exported.replace("genres", "genres__name", 1)
        page = await http.post(URL, **upload(exported))
        assert "0 to add, 0 to change, 3 unchanged" in text(page)
        [rows] = [await http.get("/admin/records/album/export/json/")]
        assert {tuple(sorted(row["genres"])) for row in rows.json()} == {
            ("Jazz", "Soul"),
            ("Folk", "Soul"),
            ("Soul",),
        }
        wrong = f"id,genres__name\n{album.pk},Rock\n{same.pk},\n"
        shown = text(await http.post(URL, **upload(wrong)))
        assert "2 genres__name Rock: Select a valid choice." in shown
        assert "3 genres__name This field is required." in shown
    assert {g.name async for g in album.genres.all()} == {"Jazz", "Soul"}
    entry = await LogEntry.objects.get(action_flag=2)
    assert "Jazz" in entry.change_message
    assert "artist" not in entry.get_change_message().lower()


async def test_related_objects_take_as_many_queries_for_many_rows(
    queries: list[str],
) -> None:
    await superuser()
    await some_albums()
    genres = [await Genre.objects.create(name=f"Genre {i}") for i in range(20)]
    albums = [album async for album in Album.objects.all()]
    for i in range(20):
        albums.append(
            await Album.objects.create(title=f"x{i}", artist_id=albums[0].artist_id)
        )
        await albums[-1].genres.add(genres[i])

    async def reads(number: int) -> int:
        rows = "".join(
            f"{album.pk},Nina Simone,Genre {i}\n"
            for i, album in enumerate(albums[2 : number + 2])
        )
        queries.clear()
        page = await http.post(URL, **upload(f"id,artist__name,genres__name\n{rows}"))
        assert f"{number} unchanged" in text(page)
        # Django checks each foreign key of an instance by itself.
        return sum("records_genre" in one or "JOIN" in one for one in queries)

    async with administering(site=site_with(WithGenres)) as http:
        assert await reads(3) == await reads(20)


async def test_dates_are_those_of_the_language_and_never_ambiguous() -> None:
    await superuser()
    [album, other] = await some_albums()
    middleware = ["vinyl.web.i18n.LocaleMiddleware", *MIDDLEWARE]
    table = f"id,released\n{album.pk},03.02.1966\n{other.pk},1966-02-04\n"
    german: Any = {"headers": {"Accept-Language": "de"}}
    async with administering(site=site_with(), MIDDLEWARE=middleware) as http:
        page = await http.post(URL, **upload(table), **german)
        # In the preview they are as in the standard.
        assert "<ins><bdi>1966-02-03</bdi></ins>" in page.text
        done = await http.post(URL, data={**fields(page), "save": "1"}, **german)
        assert done.status_code == 200
        english: Any = {"headers": {"Accept-Language": "en"}}
        shown = text(await http.post(URL, **upload(table), **english))
        assert "2 released Enter a valid date." in shown
    days = {album.released.isoformat() async for album in Album.objects.all()}
    assert days == {"1966-02-03", "1966-02-04"}


async def test_only_what_the_forms_offer_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await superuser()
    [album, _] = await some_albums()
    for name in ("Open", "Closed", "Limited"):
        await Label.objects.create(name=name)
        await Genre.objects.create(name=name)

    class Own(Importable):
        import_fields = ("id", "label__name", "genres__name")

        def formfield_for_foreignkey(
            self, db_field: Any, request: Any, **kwargs: Any
        ) -> Any:
            kwargs["queryset"] = Label.objects.exclude(name="Closed")
            return super().formfield_for_foreignkey(db_field, request, **kwargs)

        def formfield_for_manytomany(
            self, db_field: Any, request: Any, **kwargs: Any
        ) -> Any:
            kwargs["queryset"] = Genre.objects.exclude(name="Closed")
            return super().formfield_for_manytomany(db_field, request, **kwargs)

    for name in ("label", "genres"):
        remote: Any = Album._meta.get_field(name).remote_field
        monkeypatch.setattr(remote, "limit_choices_to", {"name__gt": "M"})
    async with administering(site=site_with(Own)) as http:
        for name in ("Closed", "Limited"):
            table = f"id,label__name,genres__name\n{album.pk},{name},{name}\n"
            shown = text(await http.post(URL, **upload(table)))
            assert "2 label__name Select a valid choice." in shown, name
            assert f"2 genres__name {name}: Select a valid choice." in shown, name
        # The keys of hidden objects tell nothing either.
        table = f"id,label__name,genres__name\n{album.pk},Open,Open\n"
        assert "1 to change" in text(await http.post(URL, **upload(table)))


async def test_a_file_is_no_column() -> None:
    await superuser()
    site = site_with(ModelAdmin, Booklet, import_fields=["id", "scan"])
    admin = site.get_model_admin(Booklet)
    errors = await run(admin.check)
    assert [error.id for error in errors] == ["vinyl.E146"]
    url = "/admin/records/booklet/import/"
    async with administering(site=site) as http:
        response = await http.get(url)
    assert response.status_code == 500
    with pytest.raises(ImproperlyConfigured, match="'scan', which an import cannot"):
        from vinyl.web.admin.import_page import import_page

        class Request:
            method = "GET"
            user = None

        admin.has_import_permission = lambda request: True
        await run(import_page, admin, Request())


async def test_who_may_only_add_changes_nothing() -> None:
    [album, _] = await some_albums()
    await make_user("adder", "view_album", "add_album")

    class AddOnly(Importable):
        def has_import_permission(self, request: Any) -> bool:
            return bool(self.has_add_permission(request))

    async with administering("adder", site=site_with(AddOnly)) as http:
        header = "id,title,artist__name\n"
        page = await http.post(URL, **upload(f"{header}{album.pk},x,Nina Simone\n"))
        assert "2 You may not change this object." in text(page)
        page = await http.post(URL, **upload(f"{header},Baltimore,Nina Simone\n"))
        done = await http.post(URL, data={**fields(page), "save": "1"})
        assert "1 added" in text(done)
    new = await Album.objects.get(title="Baltimore")
    assert new.released == datetime.date(1965, 10, 1)
