"""Imports and exports of models that are not like the others."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.fix_db import only_postgresql
from tests.web.admin.administering import administering, superuser, text
from tests.web.admin.test_importing import fields, upload
from tests.web.admin.test_options_models import (
    ODD,
    Document,
    Parcel,
    Passport,
    Person,
    Singer,
    Spans,
    Stamp,
    Word,
    tables,
)
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("tables")]

# The fixture that makes the tables.
__all__ = ["tables"]


async def imported(model: Any, names: list[str], table: str, **options: Any) -> str:
    """What the last page of an import says; the errors, if there are any."""
    # Related objects by their keys, not as texts.
    columns = [
        name if "__" in name else model._meta.get_field(name).attname for name in names
    ]
    options = {"import_fields": names, "export_fields": columns, **options}
    site = AdminSite()
    site.register(model, type("Own", (ModelAdmin,), options))
    url = f"/admin/records/{model._meta.model_name}"
    async with administering(site=site) as http:
        page = await http.post(f"{url}/import/", **upload(table))
        if 'name="save"' not in page.text:
            return text(page)
        done = text(
            await http.post(f"{url}/import/", data={**fields(page), "save": "1"})
        )
        # What is there now is exported, and imported without a change.
        exported = (await http.get(f"{url}/export/csv/")).content
        files: Any = {"file": ("x.csv", exported, "text/csv")}
        page = await http.post(f"{url}/import/", files=files)
        assert " 0 to add, 0 to change," in text(page), text(page)
        assert " 0 with errors." in text(page), text(page)
        return done


async def test_uuids_are_given_or_made() -> None:
    await superuser()
    old = await Parcel.objects.create(name="Old")
    new = uuid.UUID(int=7)
    table = f"id,name\n{old.pk},Changed\n{new},New\n,Made\n"
    assert "2 added, 1 changed" in await imported(Parcel, ["id", "name"], table)
    assert {p.name async for p in Parcel.objects.all()} == {"Changed", "New", "Made"}
    assert (await Parcel.objects.get(pk=new)).name == "New"
    shown = await imported(Parcel, ["id", "name"], "id,name\nnot-one,x\n")
    assert "“not-one” is not a valid UUID." in shown
    table = f"parcel__name,value\nNew,1.50\nOld,2\n{old.pk},3\n"
    shown = await imported(Stamp, ["id", "parcel__name", "value"], table)
    assert "3 parcel__name Select a valid choice." in shown
    table = f"parcel,value\n{new},1.50\n"
    assert "1 added" in await imported(Stamp, ["id", "parcel", "value"], table)


async def test_keys_with_odd_characters() -> None:
    await superuser()
    await Word.objects.create(key="a/b", meaning="old")
    rows = "".join(
        '"{}",new\n'.format(key.replace('"', '""')) for key in ODD if key != "=1"
    )
    done = await imported(Word, ["key", "meaning"], f"key,meaning\n{rows}")
    assert f"{len(ODD) - 1} added, 1 changed" in done
    found = {word.key: word.meaning async for word in Word.objects.all()}
    assert found == dict.fromkeys(ODD, "new")


async def test_a_foreign_key_as_primary_key() -> None:
    await superuser()
    nina = await Person.objects.create(name="Nina")
    etta = await Person.objects.create(name="Etta")
    await Passport.objects.create(person=nina, number="X1")
    table = f"person,number\n{nina.pk},X2\n{etta.pk},X3\n"
    done = await imported(Passport, ["person_id", "number"], table)
    assert "1 added, 1 changed" in done
    numbers = {p.person_id: p.number async for p in Passport.objects.all()}
    assert numbers == {nina.pk: "X2", etta.pk: "X3"}
    # There is no such person, which the database would notice at the end alone.
    shown = await imported(Passport, ["person", "number"], "person,number\n9999,X4\n")
    assert "9999" in shown
    assert await Passport.objects.count() == 2


async def test_a_model_with_a_parent_model() -> None:
    await superuser()
    person = await Person.objects.create(name="Only a person")
    names = ["person_ptr", "name", "voice"]
    done = await imported(Singer, names, "name,voice\nNina,alto\n")
    assert "1 added" in done
    singer = await Singer.objects.get()
    done = await imported(Singer, names, f"person_ptr,voice\n{singer.pk},bass\n")
    assert "1 changed" in done
    # Not over the person.
    table = f"person_ptr,name,voice\n{person.pk},x,bass\n"
    assert "There is no object with this key." in await imported(Singer, names, table)
    await singer.refresh_from_db()
    assert (singer.name, singer.voice) == ("Nina", "bass")
    assert {p.name async for p in Person.objects.all()} == {"Nina", "Only a person"}


async def test_json_in_cells() -> None:
    await superuser()
    data = {"é": [1, None, "="], "a": {"b": True}}
    cell = json.dumps(data).replace('"', '""')
    done = await imported(Document, ["id", "data"], f'data\n"{cell}"\n""\n[1]\n')
    # A line without a value is empty.
    assert "2 added" in done
    found = [d.data async for d in Document.objects.order_by("pk")]
    assert found == [data, [1]]
    shown = await imported(Document, ["id", "data"], "data\n{wrong\n")
    assert "2 data Enter a valid JSON." in shown


@only_postgresql
async def test_arrays_and_ranges_of_postgresql() -> None:
    await superuser()
    names = ["id", "numbers", "years", "open"]
    table = (
        "numbers;years;open\n"
        "1,2;[1950, 1960);\n"
        "[3];;[2026-01-01 10:00:00+00:00, 2026-01-02 10:00:00+00:00)\n"
        "4;[1950, None);\n"
    )
    done = await imported(Spans, names, table)
    assert "3 added" in done
    first, second, third = [s async for s in Spans.objects.order_by("pk")]
    assert (first.numbers, first.years.lower, first.years.upper) == ([1, 2], 1950, 1960)
    assert (second.numbers, second.years) == ([3], None)
    assert second.open.lower.isoformat() == "2026-01-01T10:00:00+00:00"
    assert third.years.upper is None
    wrong = "numbers;years\n1,2,3,4;[1960, 1950)\nx;1950\n"
    shown = await imported(Spans, names, wrong)
    assert "2 numbers List contains 4 items" in shown
    assert "2 years The start of the range must not exceed" in shown
    assert "3 years Write a range as “[1, 5)”." in shown
