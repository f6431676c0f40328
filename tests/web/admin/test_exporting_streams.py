"""Exports that a client does not wait for, and values of every type."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc, var-annotated"

from __future__ import annotations

import asyncio
import csv
import datetime
import io
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist, Genre
from tests.web.admin.administering import (
    MIDDLEWARE,
    AlbumAdmin,
    administering,
    log_in,
    superuser,
)
from tests.web.serving import serving_on_a_socket
from vinyl.orm import connection
from vinyl.orm.pools.registry import pool_for
from vinyl.web import path
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"


def site_with(model: Any = Album, admin: Any = AlbumAdmin, **options: Any) -> AdminSite:
    site = AdminSite()
    site.register(model, type("Own", (admin,), options))
    return site


async def busy_sessions(db: str) -> set[int]:
    """Other sessions of PostgreSQL that run something, as those of other tests."""
    if db != "postgresql":
        return set()
    async with connection.cursor() as cursor:
        await cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE state <> 'idle' "
            "AND pid <> pg_backend_pid() AND datname = current_database() "
            "AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in await cursor.fetchall()}


async def test_a_client_that_leaves_half_way_frees_the_connection(db: str) -> None:
    await superuser()
    artist = await Artist.objects.create(name="Sun Ra")
    await Album.objects.bulk_create(
        [Album(title="x" * 190, artist=artist) for _ in range(9000)]
    )
    read: list[int] = []
    before = await busy_sessions(db)

    class Counting(ModelAdmin):
        list_display = ("title", "counted")

        def counted(self, album: Any) -> int:
            read.append(album.pk)
            return len(read)

    urls = path("admin/", site_with(admin=Counting).urls)
    async with serving_on_a_socket(urls, MIDDLEWARE=MIDDLEWARE) as server:
        address = str(server.base_url)
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            await log_in(http, "ada")
            async with http.stream("GET", f"{LIST}export/csv/") as response:
                pieces = response.aiter_bytes()
                while not read:
                    assert await anext(pieces)
                await pieces.aclose()
        pool = pool_for("default")
        async with asyncio.timeout(30):
            while pool.in_use:
                await asyncio.sleep(0.01)
        assert 0 < len(read) < 9000
        assert await busy_sessions(db) <= before
        # The next one gets all rows.
        await log_in(server, "ada")
        whole = await server.get(f"{LIST}export/csv/")
        assert whole.text.count("\n") == 9001


with isolate_apps("tests.records"):

    class Everything(models.Model):
        big = models.BigIntegerField()
        yes = models.BooleanField()
        maybe = models.BooleanField(null=True)
        share = models.FloatField()
        price = models.DecimalField(max_digits=8, decimal_places=2)
        day = models.DateField()
        moment = models.DateTimeField()
        clock = models.TimeField()
        lasts = models.DurationField()
        mark = models.UUIDField()
        address = models.GenericIPAddressField()
        data = models.JSONField()
        raw = models.BinaryField()
        kind = models.CharField(max_length=1, choices={"a": "Alpha"})
        scan = models.FileField()

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"{self.pk}"


@pytest.fixture
def table(db: str) -> Iterator[None]:
    with connections["default"].schema_editor() as editor:
        editor.create_model(Everything)
    connections["default"].close()
    yield
    with connections["default"].schema_editor() as editor:
        editor.delete_model(Everything)
    ContentType.objects.filter(app_label="records", model="everything").delete()


NAMES = [f.name for f in Everything._meta.fields if not f.primary_key]


async def one_of_everything() -> None:
    await Everything.objects.create(
        big=2**62,
        yes=True,
        share=0.1,
        price=Decimal("-1.50"),
        day=datetime.date(1965, 10, 1),
        moment=datetime.datetime(1965, 10, 1, 12, tzinfo=datetime.UTC),
        clock=datetime.time(12, 30),
        lasts=datetime.timedelta(days=1, hours=2),
        mark=uuid.UUID(int=1),
        address="::1",
        data={"a": [1, None, "=1"]},
        raw=b"\x00\xff",
        kind="a",
        scan="scans/a b.pdf",
    )


@pytest.mark.usefixtures("table")
async def test_json_and_csv_of_every_type() -> None:
    await superuser()
    await one_of_everything()
    url = "/admin/records/everything/export"
    site = site_with(Everything, ModelAdmin, export_fields=NAMES)
    async with administering(site=site) as http:
        [row] = (await http.get(f"{url}/json/")).json()
        text = (await http.get(f"{url}/csv/")).content.decode("utf-8-sig")
    moment = row.pop("moment")
    assert datetime.datetime.fromisoformat(moment) == datetime.datetime(
        1965, 10, 1, 12, tzinfo=datetime.UTC
    )
    assert row == {
        "big": 2**62,
        "yes": True,
        "maybe": None,
        "share": 0.1,
        "price": "-1.50",
        "day": "1965-10-01",
        "clock": "12:30:00",
        "lasts": "P1DT02H00M00S",
        "mark": str(uuid.UUID(int=1)),
        "address": "::1",
        "data": {"a": [1, None, "=1"]},
        "raw": "AP8=",
        "kind": "a",
        "scan": "scans/a b.pdf",
    }
    header, cells = csv.reader(io.StringIO(text))
    found = dict(zip(header, cells, strict=True))
    assert header == NAMES
    assert (found["price"], found["maybe"], found["raw"]) == ("-1.50", "", "AP8=")
    assert found["data"] == '{"a": [1, null, "=1"]}'


@pytest.mark.usefixtures("table")
async def test_what_is_exported_is_imported_unchanged() -> None:
    await superuser()
    await one_of_everything()
    names = ["id", *(n for n in NAMES if n not in ("raw", "scan"))]
    url = "/admin/records/everything"
    site = site_with(Everything, ModelAdmin, export_fields=names, import_fields=names)
    async with administering(site=site) as http:
        exported = (await http.get(f"{url}/export/csv/")).content
        files: Any = {"file": ("x.csv", exported, "text/csv")}
        page = await http.post(f"{url}/import/", files=files)
        assert "0 to add, 0 to change, 1 unchanged, 0 with errors" in page.text


async def test_a_list_of_many_related_objects_takes_one_query(
    queries: list[str],
) -> None:
    await superuser()
    artist = await Artist.objects.create(name="Sun Ra")
    genres = [await Genre.objects.create(name=name) for name in ("Jazz", "=Soul")]
    for i in range(5):
        album = await Album.objects.create(title=f"x{i}", artist=artist)
        await album.genres.set(genres)
    site = site_with(export_fields=["title", "genres"])
    async with administering(site=site) as http:
        queries.clear()
        text = (await http.get(f"{LIST}export/csv/")).text
    assert text.count('"[""Jazz"", ""=Soul""]"') == 5
    assert sum("records_genre" in query for query in queries) == 1
