"""A plan binds values to its SQL, and keeps nothing of the query it was made of."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import gc
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F
from django.db.models.sql.compiler import SQLCompiler

from tests.orm.plans.planning import catalogue
from tests.records.models import Album
from vinyl.orm.plans.plan import Plan
from vinyl.orm.plans.values import Unplannable

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


def plan_of(**conditions: Any) -> Plan:
    """The plan for the albums that meet *conditions*."""
    for _ in range(2):
        list(Album.objects.filter(**conditions))
    node = Album.objects.filter(**conditions)._trail.node  # type: ignore[attr-defined]
    [plan] = node.plans.values()
    assert isinstance(plan, Plan)
    return plan


def compilers() -> int:
    """How many of Django's compilers, which hold a connection, are alive."""
    return sum(isinstance(found, SQLCompiler) for found in gc.get_objects())


def test_it_keeps_no_connection_and_does_not_grow() -> None:
    artist = catalogue().artist
    gc.collect()
    before = compilers()
    for _ in range(20):
        assert len(Album.objects.filter(artist=artist)) == 3
    gc.collect()
    assert compilers() == before


def test_it_binds_values_in_the_order_of_the_parameters() -> None:
    plan = plan_of(year=1, title__in=["a", "b"])
    # Django sorts the conditions by name, and so has the parameters in another order.
    values = (1970, ["x", "y"])
    assert plan.sql.count("%s") == 3
    assert plan.bound(values, connections["default"]) == ("x", "y", 1970)
    assert plan.statement is not None
    assert plan.statement.sql == plan.sql


def test_it_refuses_values_of_another_number() -> None:
    plan = plan_of(year__in=[1, 2])
    for values in ([1, 2, 3], [1, 1], []):
        with pytest.raises(Unplannable):
            plan.bound((values,), connections["default"])


def test_the_database_binds_only_what_is_compared_with_a_column() -> None:
    plan = plan_of(year=F("pk") + 1)
    assert (plan.statement is None) == (connection.vendor == "postgresql")
