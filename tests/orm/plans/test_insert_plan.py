"""The plan of an insert gives its parameters, and reads what it returns."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from tests.fix_db import only_postgresql
from tests.orm.plans.planning import outcome_of, uses_of
from tests.records.models import Genre
from vinyl.orm.plans import inserts, trails
from vinyl.orm.plans.insert_plan import InsertPlan

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


def test_it_keeps_no_objects() -> None:
    Genre.objects.create(name="Jazz")
    [plan] = inserts._plans_of(Genre).values()
    assert plan is not None
    assert plan.query.objs == []


@only_postgresql
def test_a_row_that_a_trigger_refuses_is_what_it_is_in_django(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = uses_of(InsertPlan, monkeypatch)

    def create() -> Any:
        return Genre.objects.create(name="refused").pk

    with transaction.atomic():
        for name in "abc":
            Genre.objects.create(name=name)
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN RETURN NULL; END'"
            )
            cursor.execute(
                "CREATE TRIGGER refusing BEFORE INSERT ON records_genre "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        found = outcome_of(create)
        assert used
        monkeypatch.setattr(trails, "_enabled", False)
        assert outcome_of(create) == found
        transaction.set_rollback(True)
