"""Values of a plan's rows are those of Django, of every field and on each way."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc, var-annotated"

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count, F, Max, Sum
from django.test.utils import isolate_apps

from tests.orm.plans.planning import thrice
from vinyl.orm import models
from vinyl.orm.plans import trails

pytestmark = pytest.mark.usefixtures("db", "nothing_known")

ROWS: list[dict[str, Any]] = [
    {
        "at": datetime.datetime(2024, 2, 29, 23, 59, 59, 999999, datetime.UTC),
        "day": datetime.date(2024, 2, 29),
        "hour": datetime.time(1, 2, 3, 4),
        "price": decimal.Decimal("1234.50"),
        "key": uuid.UUID(int=1),
        "is_on": True,
        "took": datetime.timedelta(days=-1, microseconds=5),
        "data": {"a": [1, None, "x"]},
        "size": 0.1,
    },
    {
        "at": datetime.datetime(1, 1, 1, tzinfo=datetime.UTC),
        "day": datetime.date(1, 1, 1),
        "hour": datetime.time(0),
        "price": decimal.Decimal("-0.01"),
        "key": uuid.UUID(int=2**128 - 1),
        "is_on": False,
        "took": datetime.timedelta(0),
        "data": "text",
        "size": -1.5,
    },
    {},
]


@pytest.fixture
def model(db: str) -> Iterator[Any]:
    """A model with a field of each type, whose table has a few rows."""
    with isolate_apps("tests.records"):

        class Everything(models.Model):
            at = models.DateTimeField(null=True)
            day = models.DateField(null=True)
            hour = models.TimeField(null=True)
            price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
            key = models.UUIDField(null=True)
            is_on = models.BooleanField(null=True)
            took = models.DurationField(null=True)
            data = models.JSONField(null=True)
            size = models.FloatField(null=True)

            class Meta:
                app_label = "records"

            def __str__(self) -> str:
                return f"{self.pk}"

        with connection.schema_editor() as editor:
            editor.create_model(Everything)
        try:
            for row in ROWS:
                Everything.objects.create(**row)
            yield Everything
        finally:
            with connection.schema_editor() as editor:
                editor.delete_model(Everything)


def shown(found: Any) -> str:
    if hasattr(found, "_meta"):
        return repr([(name, getattr(found, name)) for name in ("pk", *ROWS[0])])
    return repr(found)


WAYS: dict[str, Callable[[Any], list[Any]]] = {
    "objects": lambda objects: list(objects.order_by("pk")),
    "chunks": lambda objects: list(objects.order_by("pk").iterator(chunk_size=2)),
    "one": lambda objects: [objects.get(pk=objects.order_by("pk").first().pk)],
    "deferred": lambda objects: list(objects.order_by("pk").defer("key", "at")),
    "dicts": lambda objects: list(objects.order_by("pk").values()),
    "tuples": lambda objects: list(objects.order_by("pk").values_list(*ROWS[0])),
    "flat": lambda objects: list(objects.order_by("pk").values_list("at", flat=True)),
    "distinct": lambda objects: list(
        objects.order_by("pk").values_list("day", "took").distinct()
    ),
    "annotated": lambda objects: list(
        objects.order_by("pk")
        .annotate(
            double=F("price") + F("price"),
            later=F("at") + F("took"),
        )
        .values_list("double", "later")
    ),
    "grouped": lambda objects: list(
        objects.order_by("is_on").values("is_on").annotate(n=Count("pk"), at=Max("at"))
    ),
    "aggregated": lambda objects: [
        objects.aggregate(
            Max("at"), Max("day"), Max("hour"), Sum("price"), Sum("took"), Max("size")
        )
    ],
    "asked for": lambda objects: [
        objects.distinct().exists(),
        objects.values("at", "day").distinct().exists(),
        objects.values("at", "day").distinct().count(),
    ],
    "aggregated over nothing": lambda objects: [
        objects.filter(pk=0).aggregate(Max("at"), Sum("price"), n=Count("pk"))
    ],
}


@pytest.mark.parametrize("way", WAYS)
def test_values_are_those_of_django(
    way: str, model: Any, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> list[str]:
        return [shown(found) for found in WAYS[way](model.objects)]

    with monkeypatch.context() as patches:
        patches.setattr(trails, "_enabled", False)
        expected = make()
    assert thrice(make, used) == expected
    # And without a cursor, where there is none that logs the query.
    used.clear()
    assert make() == expected
    assert used
