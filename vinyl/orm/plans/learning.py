"""
Learning plans: from the query that Django builds for a shape to its plan.

Django takes the steps once more, with marked values, and runs their query. The marks
tie each lookup to its value. Then the same query is compiled with references in place
of the parameters of these lookups.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import (
    EmptyResultSet,
    FullResultSet,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
)
from django.db import connections
from django.db.models import ForeignObject, sql
from django.db.models.query import ModelIterable
from django.db.models.sql.subqueries import DeleteQuery, UpdateQuery

from vinyl.orm.plans.assignments import Assignment
from vinyl.orm.plans.binders import Binder, binder_for
from vinyl.orm.plans.columns import has_methods
from vinyl.orm.plans.converters import Converters
from vinyl.orm.plans.expressions import (
    has_expressions,
    inner_queries,
    is_expression,
)
from vinyl.orm.plans.loaders import loader_of
from vinyl.orm.plans.marked_query import MarkedQuery, One, Runs, marking
from vinyl.orm.plans.moments import Own
from vinyl.orm.plans.plan import Plan, is_djangos
from vinyl.orm.plans.shapes import Kept, Node, Reference
from vinyl.orm.plans.value_marks import Marks, type_of
from vinyl.orm.plans.values import Unplannable

__all__ = ["learn", "log_failure"]

logger = logging.getLogger("vinyl.orm")


def learn(
    node: Node,
    values: tuple[Any, ...],
    alias: str,
    build: Callable[[type[sql.Query], tuple[Any, ...]], Any],
    run: Callable[[Any], Any],
    keep: Callable[[Plan | None], None],
    gives_rows: bool,
    same: Any,
    assigned: Sequence[Any] = (),
) -> Any:
    """
    Run the query of *node* with *values* through Django, and return its result.

    Args:
        build: Takes the steps with queries of another class and other values, and
            returns the queryset.
        run: Runs the query of a queryset and returns its result.
        keep: Called with the plan; with None if the query has none.
        gives_rows: Whether the query returns rows, and not one value.
        same: A queryset whose query Django built from the values when they were passed.
            They may have changed since; None if they cannot change.
        assigned: The values that an UPDATE assigns, without expressions.

    Raises:
        Unplannable: The values cannot be followed. Nothing has run then.

    Switches to the event loop, inside the bridge.
    """
    marks = Marks()
    runs = Runs(marks)
    given = [value.given if type(value) is Kept else value for value in values]
    try:
        with marking(runs):
            queryset = build(MarkedQuery, tuple(map(marks.mark, given)))
        if same is not None and _compiled(queryset, alias) != _compiled(same, alias):
            raise Unplannable
    except Exception:
        # Django took these steps before, so a value must have changed.
        raise Unplannable from None

    connection: Any = connections[alias]
    state = connection.needs_rollback, connection.rollback_exc

    def keep_plan() -> None:
        iterable_class = queryset._iterable_class if gives_rows else None
        try:
            plan = _plan_of(node, runs, values, connection, iterable_class, assigned)
        except (Unplannable, EmptyResultSet, FullResultSet):
            keep(None)
        except Exception:
            # The query itself has succeeded.
            log_failure(node)
            keep(None)
        else:
            keep(plan)

    try:
        result = run(queryset)
        keep_plan()
        return result
    except (ObjectDoesNotExist, MultipleObjectsReturned):
        # Errors of `get()` after its query has succeeded.
        keep_plan()
        raise
    except Exception as error:
        if runs:
            raise
        # Nothing has been sent, so Django can raise its own error for the values
        # themselves, or run the query if only their marks are in its way. Not in a
        # transaction that a block inside Django's method has marked for rollback.
        connection.needs_rollback, connection.rollback_exc = state
        raise Unplannable from error
    finally:
        # Break the reference cycle of the runs and their queries.
        runs.clear()


def log_failure(shape: object) -> None:
    """
    Log the error that is being handled. The query of *shape* had succeeded before it
    occurred. Never switches.
    """
    logger.warning(
        "An unexpected error occurred while a plan was made for `%s`. The query has "
        "succeeded, and Django will build further queries of this shape. Please report "
        "the error as a bug of vinyl.",
        shape,
        exc_info=True,
    )


def _compiled(queryset: Any, alias: str) -> tuple[Any, ...]:
    # The property applies a filter that is still deferred.
    sql, params = queryset.query.clone().get_compiler(using=alias).as_sql()
    return sql, *params


def _plan_of(
    node: Node,
    runs: Runs,
    values: tuple[Any, ...],
    connection: Any,
    iterable_class: type | None,
    assigned: Sequence[Any],
) -> Plan:
    if len(runs) != 1:
        raise Unplannable
    [(used, real_sql, real_params)] = runs
    _refuse_what_changes(used.query, connection)
    with _referring_assignments(used.query, len(values), assigned) as assignments:
        text, params, binders = _referring(used.query, runs, values, connection)
    sources: dict[Node, Sequence[Binder]] = {}
    for source, own in _sources_of(node, binders):
        known = sources.setdefault(source, source.binders or own)
        if not all(map(Binder.is_like, known, own)):
            raise Unplannable
    plan = Plan(used, text, params, [*binders, *assignments])
    plan.locks = connection.features.has_select_for_update and any(
        source.step is not None and source.step.method == "select_for_update"
        for source in node.sources()
    )
    kept = tuple(
        value if type(value) is Kept else binder.kept(value)
        for binder, value in zip(binders, values, strict=True)
    )
    kept = (*kept, *assigned)
    # The plan has to give the SQL and the parameters that Django has just sent.
    bound = plan.bound(kept, connection)
    if text != real_sql or bound != real_params:
        raise Unplannable
    if [*map(type, bound)] != [*map(type_of, real_params)]:
        raise Unplannable
    columns: list[Any] = []
    if isinstance(used.query, (DeleteQuery, UpdateQuery)):
        # It gives no rows.
        pass
    elif iterable_class is None:
        columns = list(used.query.annotation_select.values())
        if used.has_composite_fields(columns):
            raise Unplannable
        if used.col_count != len(columns):
            # The row of `exists()`, whose values nothing reads.
            columns = []
    else:
        # Other parameters may be right only at this moment.
        if not all(
            type(param) in (Own, Reference, One, bool) for param in params
        ) and not any(map(_has_expressions, node.sources())):
            raise Unplannable
        columns = [column[0] for column in used.select[: used.col_count]]
        plan.load = loader_of(iterable_class, used)
        if used.klass_info is not None and iterable_class is ModelIterable:
            plan.models = list(_models_in(used.klass_info))
            plan.names = frozenset(
                used.select[column][0].target.attname
                for column in used.klass_info["select_fields"]
            )
        plan.is_djangos = plan.is_djangos and all(
            is_djangos(column.output_field) for column in columns
        )
    if converters := used.get_converters(columns):
        plan.converters = Converters(len(columns), converters, connection)
    for source, known in sources.items():
        source.binders = tuple(known)
    return plan


def _models_in(info: dict[str, Any]) -> Iterator[Any]:
    yield info["model"]
    for of_relation in info.get("related_klass_infos", ()):
        yield from _models_in(of_relation)


def _sources_of(
    node: Node, binders: list[Binder]
) -> Iterator[tuple[Node, list[Binder]]]:
    """The nodes whose steps have the values of *node*, each with their *binders*."""
    position = 0
    for source in node.sources():
        end = position + source.own_slots
        yield source, binders[position:end]
        position = end


def _has_expressions(node: Node) -> bool:
    step = node.step
    return step is not None and has_expressions((step.args, step.kwargs))


def _refuse_what_changes(query: Any, connection: Any) -> None:
    """Raise Unplannable if the SQL of *query* depends on more than its shape."""
    if query.combinator or query.distinct_fields or query.extra_order_by:
        raise Unplannable
    if any(params for _, params in query.extra.values()):
        raise Unplannable
    for join in query.alias_map.values():
        # Such as the id of a content type, which can change.
        found = getattr(join, "join_field", None)
        field = getattr(found, "field", found)
        if field is not None and not has_methods(
            field, "get_extra_restriction", ForeignObject
        ):
            raise Unplannable
    _refuse_expressions([query.where, *query.annotations.values()], connection)
    if hasattr(query, "inner_query"):
        _refuse_what_changes(query.inner_query, connection)
        return
    if isinstance(query, DeleteQuery):
        return
    if isinstance(query, UpdateQuery):
        update: Any = query
        if update.related_updates:
            raise Unplannable
        values = [value for _, _, value in update.values]
        _refuse_expressions(filter(is_expression, values), connection)
        return
    # To find the columns and the ordering, a compiler changes the query.
    compiler = query.clone().get_compiler(connection=connection)
    _, ordering, _ = compiler.pre_sql_setup()
    _refuse_expressions((column[0] for column in compiler.select), connection)
    _refuse_expressions((expression for expression, _ in ordering), connection)


def _refuse_expressions(expressions: Iterable[Any], connection: Any) -> None:
    for query in inner_queries(expressions):
        _refuse_what_changes(query, connection)


def _referring(
    query: Any, runs: Runs, values: tuple[Any, ...], connection: Any
) -> tuple[str, tuple[Any, ...], list[Binder]]:
    """
    Compile *query* with references to the values: return its SQL, its parameters and
    the binder of each slot.
    """
    with runs.referring() as tied:
        text, params = query.get_compiler(connection.alias).as_sql()
    slots = {
        param.slot
        for param in params
        if type(param) is Reference and param.slot < len(values)
    }
    if slots != set(range(len(values))) or slots != tied.keys():
        raise Unplannable
    binders = []
    for slot, value in enumerate(values):
        given = value.given if type(value) is Kept else value
        binders.append(binder_for(*tied[slot], given, connection))
    return text, params, binders


@contextmanager
def _referring_assignments(
    query: Any, slot: int, assigned: Sequence[Any]
) -> Iterator[list[Assignment]]:
    """
    In the block, *query* assigns references in place of the values *assigned*, from
    *slot* on. Gives the assignment of each.
    """
    assignments: list[Assignment] = []
    if not isinstance(query, UpdateQuery):
        yield assignments
        return
    update: Any = query
    values = update.values
    given = [value for _, _, value in values if not is_expression(value)]
    if [*map(id, given)] != [*map(id, assigned)]:
        # Generated fields are left out.
        raise Unplannable
    update.values = []
    for field, model, value in values:
        if not is_expression(value):
            assignments.append(Assignment(field, value))
            value = assignments[-1].reference(slot)
            slot += 1
        update.values.append((field, model, value))
    try:
        yield assignments
    finally:
        update.values = values
