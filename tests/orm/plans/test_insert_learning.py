"""The plan of an insert is made from what Django's compiler runs."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import pytest

from tests.orm.plans.planning import uses_of
from tests.records.models import Genre
from vinyl.orm.plans import insert_learning, inserts
from vinyl.orm.plans.insert_plan import InsertPlan

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.mark.parametrize("count", [1, 3])
def test_an_unexpected_error_while_a_plan_is_made_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    count: int,
) -> None:
    used = uses_of(InsertPlan, monkeypatch)

    def fail(*args: Any) -> Any:
        raise RuntimeError("A bug in vinyl.")

    monkeypatch.setattr(insert_learning, "_arrangement", fail)
    for number in range(3):
        names = [f"secret {number}.{n}" for n in range(count)]
        made = Genre.objects.bulk_create([Genre(name=name) for name in names])
        assert [Genre.objects.get(pk=one.pk).name for one in made] == names
    [record] = caplog.records
    assert "`INSERT INTO Genre (name)`" in record.getMessage()
    assert "secret" not in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)
    assert not used


def test_their_number_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insert_learning, "MAX_PLANS", 1)
    Genre.objects.create(name="Jazz")
    Genre.objects.create(pk=1000, name="Soul")
    assert len(inserts._plans_of(Genre)) == 1
