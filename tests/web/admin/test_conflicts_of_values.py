"""Lost updates of values of every kind, and of what differs by less than is shown."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connections, models
from django.test.utils import isolate_apps

from tests.web.admin.administering import administering, superuser, text
from tests.web.admin.test_conflicts import CHANGED, form_of, rows
from vinyl.web.admin import AdminSite

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

MOMENT = datetime.datetime(2026, 11, 30, 1, 2, 3, 456789, tzinfo=datetime.UTC)

with isolate_apps("tests.records"):

    class Reading(models.Model):
        data = models.JSONField(default=dict, blank=True)
        ratio = models.FloatField(default=0.1)
        price = models.DecimalField(max_digits=9, decimal_places=3, default=Decimal(1))
        moment = models.DateTimeField(default=MOMENT)
        took = models.DurationField(default=datetime.timedelta(microseconds=1))
        is_right = models.BooleanField(null=True, blank=True)
        scan = models.FileField(upload_to="scans", blank=True)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return "A reading"


@pytest.fixture(autouse=True)
def readings(db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    field: Any = Reading._meta.get_field("scan")
    monkeypatch.setattr(field, "storage", FileSystemStorage(tmp_path))
    connection = connections["default"]
    with connection.schema_editor() as editor:
        editor.create_model(Reading)
    connection.close()
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Reading)


site = AdminSite()
site.register(Reading)

# What somebody else saves meanwhile, and whether it is another value.
VALUES: dict[str, tuple[str, Any, Any, bool]] = {
    "the order of a list": ("data", [1, 2], [2, 1], True),
    "the order of names": ("data", {"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
    "a number and its text": ("data", {"a": 1}, {"a": "1"}, True),
    "deep within": ("data", {"a": [{"b": [1]}]}, {"a": [{"b": [2]}]}, True),
    "nothing and nothing": ("data", {}, {}, False),
    "the last digit": ("ratio", 0.1, 0.1 + 1e-16, True),
    "zeros": ("price", Decimal("1.500"), Decimal("1.5"), False),
    "a thousandth": ("price", Decimal("1.500"), Decimal("1.501"), True),
    "a microsecond": (
        "moment",
        MOMENT,
        MOMENT + datetime.timedelta(microseconds=1),
        True,
    ),
    "another zone": (
        "moment",
        MOMENT,
        MOMENT.astimezone(datetime.timezone(datetime.timedelta(hours=3))),
        False,
    ),
    "a duration": (
        "took",
        datetime.timedelta(microseconds=1),
        datetime.timedelta(microseconds=2),
        True,
    ),
    "unknown and no": ("is_right", None, False, True),
    "a file": ("scan", "scans/a.txt", "scans/b.txt", False),
}


async def test_another_value_is_found_and_the_same_one_is_not() -> None:
    await superuser()
    reading = await Reading.objects.create()
    url = f"/admin/records/reading/{reading.pk}/change/"
    async with administering(site=site) as http:
        for name, (field, before, after, is_new) in VALUES.items():
            await Reading.objects.filter(pk=reading.pk).update(**{field: before})
            mine = form_of(await http.get(url))
            # Left alone it is saved, and saved again.
            assert (await http.post(url, data=mine)).status_code == 302, name
            await Reading.objects.filter(pk=reading.pk).update(**{field: before})
            mine = form_of(await http.get(url))
            await Reading.objects.filter(pk=reading.pk).update(**{field: after})
            page = await http.post(url, data=mine)
            if is_new:
                assert CHANGED in text(page), name
                assert len(rows(page)) == 1, name
            else:
                assert page.status_code == 302, name
            again = await Reading.objects.get(pk=reading.pk)
            kept = again.scan.name if field == "scan" else getattr(again, field)
            assert kept == after or not is_new, name


async def test_a_file_that_somebody_else_has_replaced() -> None:
    await superuser()
    reading = await Reading.objects.create()
    url = f"/admin/records/reading/{reading.pk}/change/"
    async with administering(site=site) as http:
        mine = form_of(await http.get(url))
        mine.pop("scan")
        theirs = {"scan": ("theirs.txt", b"theirs")}
        assert (await http.post(url, data=mine, files=theirs)).status_code == 302
        # Mine was made before.
        page = await http.post(url, data=mine, files={"scan": ("mine.txt", b"mine")})
        assert [row[:3] for row in rows(page)] == [
            ["Scan", "mine.txt", "scans/theirs.txt"]
        ]
        again = form_of(page) | {"_theirs": []}
        again.pop("scan")
        files = {"scan": ("mine.txt", b"mine")}
        assert (await http.post(url, data=again, files=files)).status_code == 302
    await reading.refresh_from_db()
    assert reading.scan.name == "scans/mine.txt"
