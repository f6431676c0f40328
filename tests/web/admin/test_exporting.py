"""Export: the rows that a list shows, as files that spreadsheets can open safely."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import csv
import datetime
import io
import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils.html import format_html

from tests.records.models import Album, Artist, Label
from tests.web.admin.administering import AlbumAdmin, administering, superuser
from tests.web.admin.administering import user as make_user
from vinyl.web.admin import AdminSite, display, exporting

pytestmark = pytest.mark.anyio

LIST = "/admin/records/album/"


class Exported(AlbumAdmin):
    list_display = ["title", "artist", "label_id", "label__name", "is_old", "praise"]

    @display(description="Praise")
    async def praise(self, album: Any) -> Any:
        return format_html("<b>{}</b>", f"{album.title} & more")


def site_with(admin: Any = Exported, **options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Album, type("Own", (admin,), options))
    return site


async def some_albums(*titles: str) -> None:
    artist = await Artist.objects.create(name="Nina Simone")
    label = await Label.objects.create(name="Philips")
    for i, title in enumerate(titles):
        await Album.objects.create(
            title=title, artist=artist, year=1955 + i, label=label if i % 2 else None
        )


def table(response: Any) -> list[list[str]]:
    assert response.status_code == 200, response.text[:500]
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return [*csv.reader(io.StringIO(response.content.decode("utf-8-sig")))]


@pytest.mark.usefixtures("db")
async def test_a_file_has_the_rows_and_columns_of_the_list(queries: list[str]) -> None:
    await superuser()
    await some_albums("Little Girl Blue", "Forbidden Fruit", "Pastel Blues")
    async with administering(site=site_with(list_per_page=1)) as http:
        page = await http.get(f"{LIST}?year__gt=1955&o=-1")
        url = f"{LIST}export/csv/?o=-1&amp;year__gt=1955"
        assert f'href="{url}"' in page.text
        queries.clear()
        response = await http.get(url.replace("&amp;", "&"))
    header, *rows = table(response)
    assert ",".join(header) == "id,title,artist,label_id,label__name,is_old,praise"
    albums = {a.title: a.pk async for a in Album.objects.all()}
    label = (await Label.objects.get()).pk
    assert rows == [
        [str(albums[title]), title, "Nina Simone", *label_of, "True", f"{title} & more"]
        for title, label_of in (
            ("Pastel Blues", ["", ""]),
            ("Forbidden Fruit", [str(label), "Philips"]),
        )
    ]
    today = datetime.date.today().year
    name = response.headers["content-disposition"]
    assert name.startswith(f'attachment; filename="album-{today}')
    assert name.endswith('.csv"')


@pytest.mark.usefixtures("db")
async def test_json_has_values_of_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "CHUNK", 2)
    await superuser()
    await some_albums("One", "=Two", "Drei Löwen", "Vier", "Fünf")
    fields = ["title", "year", "released", "artist", "is_old"]
    async with administering(site=site_with(export_fields=fields)) as http:
        response = await http.get(f"{LIST}export/json/?o=1")
        empty = await http.get(f"{LIST}export/json/?year=1")
    assert response.headers["content-type"] == "application/json"
    rows = response.json()
    assert rows[0] == {
        "title": "=Two",
        "year": 1956,
        "released": "1965-10-01",
        "artist": "Nina Simone",
        "is_old": True,
    }
    assert [row["title"] for row in rows] == [
        "=Two",
        "Drei Löwen",
        "Fünf",
        "One",
        "Vier",
    ]
    assert empty.json() == []


@pytest.mark.usefixtures("db")
async def test_no_cell_is_a_formula() -> None:
    await superuser()
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "a=b", "'quoted"]
    await some_albums(*formulas)
    fields = ["title", "year", "negative"]

    def negative(self: Any, album: Any) -> Decimal:
        return Decimal("-1.5")

    site = site_with(export_fields=fields, negative=negative, ordering=["year"])
    async with administering(site=site) as http:
        _, *rows = table(await http.get(f"{LIST}export/csv/"))
    assert [row[0] for row in rows] == [
        *(f"'{formula}" for formula in formulas[:7]),
        *formulas[7:],
    ]
    # Numbers are numbers.
    assert {row[2] for row in rows} == {"-1.5"}


@pytest.mark.usefixtures("db")
async def test_who_may_not_view_or_export_gets_nothing() -> None:
    class Closed(AlbumAdmin):
        def has_export_permission(self, request: Any) -> bool:
            return bool(request.user.is_superuser)

    await make_user("nobody")
    await make_user("viewer", "view_album")
    await some_albums("One")
    url = f"{LIST}export/csv/"
    for name, admin, status in (
        (None, AlbumAdmin, 302),
        ("nobody", AlbumAdmin, 403),
        ("viewer", AlbumAdmin, 200),
        ("viewer", Closed, 403),
    ):
        async with administering(name, site=site_with(admin)) as http:
            assert (await http.get(url)).status_code == status
            if name == "viewer":
                page = await http.get(LIST)
                assert (url in page.text) is (status == 200)


@pytest.mark.usefixtures("db")
async def test_wrong_requests_export_nothing() -> None:
    await superuser()
    await some_albums("One")
    async with administering(site=site_with()) as http:
        assert (await http.get(f"{LIST}export/xlsx/")).status_code == 404
        wrong = await http.get(f"{LIST}export/csv/?year=x")
        assert wrong.headers["location"] == f"{LIST}?e=1"
        assert (
            await http.get(f"{LIST}export/csv/?label__name=Philips")
        ).status_code == 400
        # No page is left out, whatever page the visitor comes from.
        assert len(table(await http.get(f"{LIST}export/csv/?p=1"))) == 2


@pytest.mark.usefixtures("db")
async def test_columns_without_a_field() -> None:
    await superuser()
    site = AdminSite()
    site.register(User, list_display=["__str__", lambda user: {"a": [1, None]}])
    async with administering(site=site) as http:
        header, row = table(await http.get("/admin/auth/user/export/csv/"))
        [found] = (await http.get("/admin/auth/user/export/json/")).json()
    assert header == ["id", "user", "<lambda>"]
    assert row[1:] == ["ada", '{"a": [1, null]}']
    assert found["<lambda>"] == {"a": [1, None]}
    # Only what the list shows: no password.
    assert "password" not in found


@pytest.mark.usefixtures("db")
async def test_a_long_table_is_sent_in_constant_memory() -> None:
    await superuser()
    artist = await Artist.objects.create(name="Sun Ra")

    async def grow(by: int) -> None:
        await Album.objects.bulk_create(
            [Album(title="x" * 200, artist=artist) for _ in range(by)]
        )

    async def peak(rows: int) -> int:
        response = exporting.exported(admin, Album.objects.all(), ["title"], "csv")
        tracemalloc.start()
        size = 0
        async for piece in response:
            size += len(piece)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > rows * 200
        return most

    admin = site_with().get_model_admin(Album)
    await grow(2000)
    few = await peak(2000)
    await grow(8000)
    assert await peak(10_000) < 1.5 * few


def test_values_that_json_does_not_know() -> None:
    start, piece, end = exporting.FORMATS["json"][1](["when", "what"])
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    lines = start + piece([[when, {1}]], True) + end
    assert json.loads(lines) == [{"when": "2026-01-01T00:00:00Z", "what": "{1}"}]
