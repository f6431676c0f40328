"""Which fields an index begins with."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import models
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist
from vinyl.web.admin.indexes import is_indexed


@pytest.mark.parametrize(
    ("model", "name", "is_found"),
    [
        (Session, "expire_date", True),
        (Album, "id", True),
        (Album, "artist", True),
        (Album, "genres", True),
        (Artist, "albums", True),
        (Album, "year", False),
        (Album, "artist__name", False),
        (Album, "missing", False),
    ],
)
def test_fields_of_models(model: type[models.Model], name: str, is_found: bool) -> None:
    assert is_indexed(model, name) is is_found


@isolate_apps("tests.records")
def test_indexes_of_several_fields_serve_the_first_one() -> None:
    class Pressing(models.Model):
        code: Any = models.IntegerField()
        year: Any = models.IntegerField()
        plant: Any = models.IntegerField()
        country: Any = models.IntegerField()

        class Meta:
            app_label = "records"
            unique_together = [("code", "year")]
            indexes = [
                models.Index("plant", name="by_expression"),
                models.Index(fields=["-year", "code"], name="by_year"),
                models.Index(
                    fields=["country"], name="some", condition=models.Q(code=1)
                ),
            ]

        def __str__(self) -> str:
            return f"{self.code}"

    class Reissue(Pressing):
        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"again {self.code}"

    found = {name: is_indexed(Pressing, name) for name in ("code", "year", "plant")}
    assert found == {"code": True, "year": True, "plant": False}
    assert not is_indexed(Pressing, "country")
    # In the table of the parent.
    assert not is_indexed(Reissue, "year")
