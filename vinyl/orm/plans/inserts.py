"""
Plans for inserts: the SQL for a model, its fields and a number of objects.

Django's compiler makes the SQL of the first insert, and the plan notes how the compiler
arranges the values. For later inserts, the fields prepare the values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

from django.db.models import sql

from vinyl.orm import plans
from vinyl.orm.plans.columns import IsExpression
from vinyl.orm.plans.execution import write
from vinyl.orm.plans.insert_plan import InsertPlan
from vinyl.orm.plans.shapes import Node, root_of
from vinyl.orm.plans.trails import is_enabled
from vinyl.records import NamedTuple

__all__ = ["patch_insert", "plan_for"]


class _ModelPlans(NamedTuple):
    """
    The plans for a model, valid as long as *root* is the root of its shapes. None
    stands for a plan that could not be made because of an unexpected error.
    """

    root: Node
    plans: dict[Hashable, InsertPlan | None]


def patch_insert(execute_sql: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `SQLInsertCompiler.execute_sql()` to use plans."""

    @functools.wraps(execute_sql)
    def planned(self: Any, returning_fields: Any = None) -> Any:
        query = self.query
        if not is_enabled() or not query.fields or type(query) is not sql.InsertQuery:
            return execute_sql(self, returning_fields)
        connection = self.connection
        made = _plans_of(query.model)
        key = _key(query, connection, returning_fields)
        count = len(query.objs)
        plan = _known(made, key, count)
        if plan is None:
            if (key, count) in made:
                return execute_sql(self, returning_fields)
            return plans.insert_learning.learned(
                self, returning_fields, execute_sql, made, key
            )
        if connection.connection is None:
            # Django connects before it prepares values.
            connection.ensure_connection()
        pre_saved: list[Any] = []
        statement = None
        with suppress(IsExpression):
            statement = plan.bound(query.objs, connection, pre_saved)
        # Outside the handler, so that an error of Django has its usual context.
        if statement is None:
            # `pre_save()` may have effects, so it must not run again.
            self.pre_save_val = plan.replayed(self.pre_save_val, pre_saved)
            return execute_sql(self, returning_fields)
        rows = write(*statement, connection)
        return plan.returned(rows, connection, count)

    return planned


def plan_for(
    model: Any, fields: list[Any], returning_fields: Any, connection: Any, count: int
) -> InsertPlan | None:
    """
    Return the plan that inserts *count* objects of *model*, None if there is none.
    Never switches.
    """
    query = sql.InsertQuery(model)
    query.insert_values(fields, [])
    key = _key(query, connection, returning_fields)
    return _known(_plans_of(model), key, count)


def _known(
    made: dict[Hashable, InsertPlan | None], key: Hashable, count: int
) -> InsertPlan | None:
    plan = made.get((key, count))
    if plan is None and count > 1:
        plan = made.get((key, None))
    return plan


def _plans_of(model: Any) -> dict[Hashable, InsertPlan | None]:
    root = root_of(model)
    meta = model._meta
    found = vars(meta).get("vinyl_inserts")
    if found is None or found.root is not root:
        found = meta.vinyl_inserts = _ModelPlans(root, {})
    return found.plans


def _key(query: Any, connection: Any, returning_fields: Any) -> Hashable:
    def ids(fields: Any) -> tuple[int, ...]:
        # Hashing a field takes longer.
        return tuple(map(id, fields or ()))

    return (
        connection.alias,
        type(connection),
        query.raw,
        ids(query.fields),
        ids(returning_fields),
        query.on_conflict,
        ids(query.update_fields),
        ids(query.unique_fields),
    )
