"""How many queries an import makes for many rows, and which checks it keeps."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import models

from tests.records.models import Album
from tests.web.admin.administering import administering, superuser, text
from tests.web.admin.test_importing import (
    URL,
    Importable,
    fields,
    site_with,
    some_albums,
    upload,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

HEADER = "title,year,released,artist__name,notes\n"


def table(number: int) -> str:
    rows = (f"Album {i},1958,1958-01-01,Nina Simone,n\n" for i in range(number))
    return HEADER + "".join(rows)


async def test_related_objects_and_the_log_take_a_query_for_many_rows(
    queries: list[str],
) -> None:
    await superuser()
    await some_albums()
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload(table(120)))
        queries.clear()
        done = await http.post(URL, data={**fields(page), "save": "1"})
    assert "120 added, 0 changed, 0 unchanged." in text(done)
    assert await Album.objects.count() == 122
    # One for each batch of 100 rows.
    artists = [sql for sql in queries if 'FROM "records_artist"' in sql]
    logged = [sql for sql in queries if 'INTO "django_admin_log"' in sql]
    assert len(artists) <= 3, artists
    assert len(logged) == 2
    entries = [entry async for entry in LogEntry.objects.order_by("pk")]
    assert len(entries) == 120
    assert {entry.change_message for entry in entries} == {'[{"added": {}}]'}
    assert entries[0].object_repr == "Album 0 by Nina Simone"
    assert all(entry.is_addition() for entry in entries)


async def test_changes_are_logged_with_their_values() -> None:
    await superuser()
    one, two = await some_albums()
    rows = f"id,year\n{one.pk},1959\n{two.pk},1960\n"
    async with administering(site=site_with()) as http:
        page = await http.post(URL, **upload(rows))
        await http.post(URL, data={**fields(page), "save": "1"})
        history = text(await http.get(f"/admin/records/album/{two.pk}/history/"))
    assert "1958" in history
    assert "1960" in history
    assert "1959" not in history
    assert all([entry.is_change() async for entry in LogEntry.objects.all()])


class Logging(Importable):
    """Logs in its own way."""

    seen: list[str] = []

    def log_addition(self, request: Any, obj: Any, message: Any) -> Any:
        self.seen.append(obj.title)
        return super().log_addition(request, obj, message)


async def test_a_log_of_a_project_is_written_row_by_row() -> None:
    await superuser()
    await some_albums()
    Logging.seen.clear()
    async with administering(site=site_with(Logging)) as http:
        page = await http.post(URL, **upload(table(3)))
        await http.post(URL, data={**fields(page), "save": "1"})
    assert Logging.seen == ["Album 0", "Album 1", "Album 2"]
    assert await LogEntry.objects.count() == 3


async def test_an_import_that_is_refused_has_no_log() -> None:
    await superuser()
    await some_albums()

    class Failing(Importable):
        def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
            super().save_model(request, obj, form, change)
            if obj.title == "Album 2":
                # A second time, which its key refuses.
                obj.save(force_insert=True)

    async with administering(site=site_with(Failing)) as http:
        page = await http.post(URL, **upload(table(3)))
        done = await http.post(URL, data={**fields(page), "save": "1"})
    assert "Nothing was imported: line 4" in text(done)
    assert await LogEntry.objects.count() == 0
    assert await Album.objects.count() == 2


async def test_validators_and_constraints_of_a_foreign_key_are_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await superuser()
    await some_albums()

    def refuse(value: Any) -> None:
        raise ValidationError("Not this one.")

    artist = Album._meta.get_field("artist")
    async with administering(site=site_with()) as http:
        with monkeypatch.context() as patched:
            patched.setitem(vars(artist), "validators", [refuse])
            page = await http.post(URL, **upload(table(1)))
            assert "Not this one." in text(page)
        once = models.UniqueConstraint(fields=["artist", "year"], name="once")
        monkeypatch.setattr(Album._meta, "constraints", [once])
        page = await http.post(URL, **upload(table(1)))
        assert "Artist and Year already exists" in text(page)
        page = await http.post(URL, **upload(HEADER + "A,1958,1958-01-01,Nobody,n\n"))
        assert "Select a valid choice" in text(page)
