"""Imports beside the work of others: races, other databases, visitors who leave."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc, override"

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

import httpx
import pytest
from django.contrib.admin.models import LogEntry

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist, Label
from tests.web.admin.administering import MIDDLEWARE, log_in, superuser, text
from tests.web.admin.administering import administering as administering
from tests.web.admin.test_databases import OtherAdmin, other
from tests.web.admin.test_importing import (
    URL,
    Importable,
    fields,
    site_with,
    some_albums,
    upload,
)
from tests.web.serving import serving_on_a_socket
from vinyl.orm import await_, transaction
from vinyl.web import path
from vinyl.web.admin import ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

# A fixture of the module that tests several databases.
__all__ = ["other"]


@only_postgresql
async def test_two_imports_of_one_unique_value_at_once() -> None:
    await superuser()
    url = "/admin/records/artist/import/"

    async def meanwhile() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Sun Ra")

    class Late(ModelAdmin):
        import_fields = ("name",)
        import_key = "name"

        def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
            if obj.name == "Sun Ra":
                # The other import has its commit after the check of this one.
                await_(asyncio.create_task(meanwhile(), context=Context()))
            super().save_model(request, obj, form, change)

    async with administering(site=site_with(Late, Artist)) as http:
        page = await http.post(url, **upload("name\nAlice\nSun Ra\n"))
        done = await http.post(url, data={**fields(page), "save": "1"})
    # Without the values that PostgreSQL names.
    shown = text(done)
    assert "Nothing was imported: line 3, " in shown
    assert "Key (name)" not in done.text
    assert [artist.name async for artist in Artist.objects.all()] == ["Sun Ra"]
    assert await LogEntry.objects.count() == 0


async def test_a_visitor_who_leaves_half_way_has_imported_nothing() -> None:
    await superuser()
    await some_albums()
    saved: list[str] = []

    class Slow(Importable):
        async def save_model(
            self, request: Any, obj: Any, form: Any, change: bool
        ) -> None:
            saved.append(obj.title)
            await super().save_model(request, obj, form, change)
            if len(saved) == 150:
                # The visitor has left by then, or leaves now.
                await asyncio.Event().wait()

    table = "title,artist__name\n" + "".join(f"x{i},Nina Simone\n" for i in range(300))
    urls = path("admin/", site_with(Slow).urls)
    async with serving_on_a_socket(urls, MIDDLEWARE=MIDDLEWARE) as server:
        address = str(server.base_url)
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            await log_in(http, "ada")
            page = await http.post(URL, **upload(table))
            data = {**fields(page), "save": "1"}
            async with http.stream("POST", URL, data=data) as response:
                async for piece in response.aiter_text():
                    if "100 of 300" in piece:
                        break
        # Its transaction ends: another one can write.
        async with asyncio.timeout(30):
            await Artist.objects.create(name="Sun Ra")
            while await Album.objects.filter(title="x0").exists():
                await asyncio.sleep(0.01)
    assert 100 <= len(saved) <= 150
    assert await Album.objects.count() == 2
    assert await LogEntry.objects.count() == 0


async def test_an_import_into_another_database_is_one_transaction(other: str) -> None:
    await superuser()
    label = await Label.objects.using(other).create(name="There")

    class Own(OtherAdmin):
        import_fields = ("id", "name")

        def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
            super().save_model(request, obj, form, change)
            if obj.name == "wrong":
                raise RuntimeError("Not this one.")

    url = "/admin/records/label/import/"
    async with administering(site=site_with(Own, Label)) as http:
        for names, count in (("Changed,Added", 2), ("Again,wrong", 2)):
            changed, added = names.split(",")
            table = f"id,name\n{label.pk},{changed}\n,{added}\n"
            page = await http.post(url, **upload(table))
            assert "1 to add, 1 to change" in text(page)
            await http.post(url, data={**fields(page), "save": "1"})
            assert await Label.objects.using(other).count() == count
    await label.refresh_from_db()
    assert label.name == "Changed"
    assert await Label.objects.count() == 0
