"""Import: what a table would do, shown first, then done in one transaction."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import datetime
import re
from contextvars import Context
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.forms import CharField, ModelChoiceField, ModelForm
from django.test.utils import isolate_apps

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist, Label
from tests.web.admin.administering import AlbumAdmin, administering, superuser, text
from tests.web.admin.administering import user as make_user
from vinyl.orm import await_, transaction
from vinyl.web.admin import AdminSite, ModelAdmin
from vinyl.web.admin.importing import Import, guessed
from vinyl.web.admin.tables import Table

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

URL = "/admin/records/album/import/"


class Importable(AlbumAdmin):
    import_fields: tuple[str, ...] = (
        "id",
        "title",
        "year",
        "released",
        "artist__name",
        "label",
        "notes",
    )


def site_with(admin: Any = Importable, model: Any = Album, **options: Any) -> AdminSite:
    site = AdminSite()
    site.register(model, type("Own", (admin,), options))
    return site


async def some_albums() -> list[Album]:
    nina = await Artist.objects.create(name="Nina Simone")
    return [
        await Album.objects.create(title=title, artist=nina, year=1958, notes="-")
        for title in ("Little Girl Blue", "Forbidden Fruit")
    ]


def upload(content: str) -> dict[str, Any]:
    return {"files": {"file": ("albums.csv", content.encode(), "text/csv")}}


def fields(page: Any) -> dict[str, str]:
    """The fields of the form that saves."""
    form = page.text.partition("<main")[2]
    data = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    for name, options in re.findall(
        r'<select name="(column-\d+)">(.*?)</select>', form, re.S
    ):
        chosen = re.search(r'value="([^"]*)" selected', options)
        data[name] = chosen[1] if chosen else ""
    return {name: unescape(value) for name, value in data.items()}


async def test_rows_are_shown_and_then_added_and_changed() -> None:
    await superuser()
    old, same = await some_albums()
    await Artist.objects.create(name="Sun Ra")
    table = (
        "ID;Title;Year;artist__name;What\n"
        f"{old.pk};Little Girl Blue;1959;Nina Simone;x\n"
        f"{same.pk};Forbidden Fruit;1958;Nina Simone;x\n"
        ";Lanquidity;1978;Sun Ra;x\n"
    )
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload(table))
        shown = text(page)
        assert "1 to add, 1 to change, 1 unchanged, 0 with errors." in shown
        assert "<del><bdi>1958</bdi></del>" in page.text
        assert "<ins><bdi>1959</bdi></ins>" in page.text
        assert "<ins><bdi>Lanquidity</bdi></ins>" in page.text
        assert await Album.objects.count() == 2
        data = fields(page)
        assert [data[f"column-{i}"] for i in range(5)] == [
            "id",
            "title",
            "year",
            "artist__name",
            "",
        ]
        done = await http.post(URL, data={**data, "save": "1"})
        assert "1 added, 1 changed, 1 unchanged." in text(done)
    await old.refresh_from_db()
    assert old.year == 1959
    # What is not in the table stays.
    assert old.notes == "-"
    new = await Album.objects.select_related("artist").get(title="Lanquidity")
    assert (new.artist.name, new.released) == ("Sun Ra", datetime.date(1965, 10, 1))
    entries = [entry async for entry in LogEntry.objects.order_by("action_flag")]
    assert [(e.action_flag, e.object_id) for e in entries] == [
        (1, str(new.pk)),
        (2, str(old.pk)),
    ]
    assert "year" in entries[1].get_change_message().lower()


async def test_an_export_can_be_imported() -> None:
    await superuser()
    [album, other] = await some_albums()
    album.title, other.title = "=1+1", "'=1+1"
    await album.save()
    await other.save()
    site = site_with(export_fields=["id", "title", "released", "artist__name"])
    async with administering(site=site) as http:
        exported = (await http.get("/admin/records/album/export/csv/")).content
        page = await http.post(URL, files={"file": ("x.csv", exported, "text/csv")})
        assert "0 to add, 0 to change, 2 unchanged" in text(page)
        assert 'name="save"' not in page.text


async def test_errors_are_told_by_line_and_column_and_nothing_is_saved() -> None:
    await superuser()
    [album, _] = await some_albums()
    label = (await Label.objects.create(name="Philips")).pk
    table = (
        "id,title,year,artist__name,label\n"
        f"{album.pk},Fine,1960,Nina Simone,{label}\n"
        f"{album.pk},Twice,1960,Nina Simone,{label}\n"
        f"999,Gone,1960,Nina Simone,{label}\n"
        f"x,No key,1960,Nina Simone,{label}\n"
        ",,soon,Nobody,99\n"
        ",Short,1960\n"
    )
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload(table))
        shown = text(page)
        for error in (
            "3 id Line 2 has the same key.",
            "4 id There is no object with this key.",
            "5 id “x” value must be an integer.",
            "6 title This field is required.",
            "6 year Enter a whole number.",
            "6 artist__name Select a valid choice.",
            "6 label Select a valid choice.",
            "7 The row has 3 cells, the header has 5.",
        ):
            assert error in shown, error
        assert 'name="save"' not in page.text
        # Nor by a form of one's own.
        done = await http.post(URL, data={**fields(page), "save": "1"})
        assert "Nothing was imported: line 3, id: Line 2 has the same key." in text(
            done
        )
    await album.refresh_from_db()
    assert album.title == "Little Girl Blue"
    assert await LogEntry.objects.count() == 0


async def test_what_a_new_object_needs_has_to_have_a_column() -> None:
    await superuser()
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload("title,year\nSinnerman,1965\n"))
        assert "2 artist This field cannot be null." in text(page)


async def test_a_key_of_ones_own_finds_the_objects() -> None:
    await superuser()
    await some_albums()
    site = site_with(
        ModelAdmin, Artist, import_fields=["name"], import_key="name", ordering=["name"]
    )
    url = "/admin/records/artist/import/"
    async with administering(site=site) as http:
        page = await http.post(url, **upload("name\nNina Simone\nSun Ra\n"))
        assert "1 to add, 0 to change, 1 unchanged" in text(page)
        # Added by somebody else in the meantime.
        await Artist.objects.create(name="Sun Ra")
        done = await http.post(url, data={**fields(page), "save": "1"})
        assert "changed since the preview" in text(done)
        page = await http.post(url, **upload("name\nAlice\nAlice\n"))
        assert "3 name Line 2 has the same key." in text(page)
    assert await Artist.objects.count() == 2


async def test_fields_that_only_the_form_of_the_admin_has_need_no_column() -> None:
    class AlbumForm(ModelForm[Album]):
        reason = CharField()
        label = ModelChoiceField(Label.objects.all())

        def clean_title(self) -> str:
            return str(self.cleaned_data["title"]).upper()

    await superuser()
    [album, _] = await some_albums()
    async with administering(site=site_with(form=AlbumForm)) as http:
        page = await http.post(URL, **upload(f"id,title\n{album.pk},Baltimore\n"))
        done = await http.post(URL, data={**fields(page), "save": "1"})
        assert "1 changed" in text(done)
    await album.refresh_from_db()
    assert album.title == "BALTIMORE"


async def test_a_key_has_to_be_unique() -> None:
    await superuser()
    site = site_with(import_key="title")
    admin = site.get_model_admin(Album)
    table = Table(["title"], [(2, ["Sinnerman"])])
    with pytest.raises(ImproperlyConfigured, match="is 'title', which several"):
        Import(admin, None, table, ["title"])


async def test_values_that_are_unique_within_the_file_too() -> None:
    await superuser()
    site = site_with(ModelAdmin, Artist, import_fields=["id", "name"])
    url = "/admin/records/artist/import/"
    async with administering(site=site) as http:
        page = await http.post(url, **upload("name\nAlice\nAlice\n"))
        done = await http.post(url, data={**fields(page), "save": "1"})
        assert "line 3, name: Artist with this Name already exists." in text(done)
    assert await Artist.objects.count() == 0


async def test_permissions_for_the_page_and_for_each_row() -> None:
    [album, other] = await some_albums()
    await make_user("editor", "view_album", "change_album")
    await make_user("both", "view_album", "change_album", "add_album")

    class Careful(Importable):
        def has_import_permission(self, request: Any) -> bool:
            return True

        def get_queryset(self, request: Any) -> Any:
            return super().get_queryset(request).exclude(pk=other.pk)

        def has_change_permission(self, request: Any, obj: Any = None) -> bool:
            return obj is None or obj.title != "Little Girl Blue"

    for name, admin, status in (
        (None, Importable, 302),
        ("editor", Importable, 403),
        ("both", AlbumAdmin, 403),
        ("both", Importable, 200),
    ):
        async with administering(name, site=site_with(admin)) as http:
            assert (await http.get(URL)).status_code == status
            if name:
                page = await http.get("/admin/records/album/")
                assert (URL in page.text) is (status == 200)
    async with administering("editor", site=site_with(Careful)) as http:
        table = f"id,title\n{album.pk},x\n{other.pk},x\n,x\n"
        shown = text(await http.post(URL, **upload(table)))
    assert "2 You may not change this object." in shown
    assert "3 id There is no object with this key." in shown
    assert "4 You may not add objects." in shown


async def test_a_key_of_a_hidden_object_is_not_taken() -> None:
    await superuser()
    day = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    await Session.objects.create(session_key="hers", session_data="a", expire_date=day)

    class Own(ModelAdmin):
        import_fields = ("session_key", "session_data", "expire_date")

        def get_queryset(self, request: Any) -> Any:
            return super().get_queryset(request).exclude(session_key="hers")

    url = "/admin/sessions/session/import/"
    header = "session_key,session_data,expire_date\n"
    async with administering(site=site_with(Own, Session)) as http:
        page = await http.post(url, **upload(f"{header}hers,x,2031-01-01\n"))
        assert "2 session_key You may not change this object." in text(page)
        page = await http.post(url, **upload(f"{header}mine,x,2031-01-01\n"))
        # Somebody takes the key between the preview and the saving.
        form = {**fields(page), "save": "1"}
        assert "1 added" in text(await http.post(url, data=form))
    hers = await Session.objects.get(session_key="hers")
    assert (hers.session_data, hers.expire_date) == ("a", day)
    assert (await Session.objects.get(session_key="mine")).session_data == "x"


@only_postgresql
async def test_rows_are_locked_while_they_are_imported() -> None:
    """What others save to columns that the table does not have is not undone."""
    await superuser()
    [album, other] = await some_albums()
    free: list[list[int]] = []

    async def unlocked() -> list[int]:
        async with transaction.atomic():
            rows = Album.objects.select_for_update(skip_locked=True)
            return [row.pk for row in await rows]

    class Looking(Importable):
        def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
            # Not in the transaction of the import.
            task = asyncio.create_task(unlocked(), context=Context())
            free.append(await_(task))
            super().save_model(request, obj, form, change)

    async with administering(site=site_with(Looking)) as http:
        page = await http.post(URL, **upload(f"id,year\n{album.pk},1959\n"))
        done = await http.post(URL, data={**fields(page), "save": "1"})
    assert "1 changed" in text(done)
    assert free == [[other.pk]]


async def test_an_error_while_saving_undoes_all_rows() -> None:
    class Failing(Importable):
        def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
            super().save_model(request, obj, form, change)
            if obj.title == "Two":
                raise RuntimeError("secret")

    await superuser()
    await some_albums()
    table = "title,artist__name\nOne,Nina Simone\nTwo,Nina Simone\n"
    async with administering(site=site_with(Failing)) as http:
        page = await http.post(URL, **upload(table))
        done = await http.post(URL, data={**fields(page), "save": "1"})
        assert "An error occurred" in text(done)
        assert "secret" not in done.text
    assert await Album.objects.count() == 2


@isolate_apps("tests.records")
def test_columns_are_guessed_by_their_names() -> None:
    class Sleeve(models.Model):
        page: Any = models.IntegerField("page number")

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return str(self.page)

    table = Table(["Page Number", "PAGE", "id", "x"], [])
    names = ["id", "page", "artist__name"]
    assert guessed(table, names, Sleeve) == ["page", "", "id", ""]
    # As it is exported by its key.
    assert guessed(Table(["artist_id", "x"], []), ["artist"], Album) == ["artist", ""]
