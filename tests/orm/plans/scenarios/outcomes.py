"""What a user could see of a query: its results or its error, and the statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.orm.plans.planning import texts_of
from vinyl.orm import models


def shown(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """
    *value* with everything that a user could see of instances, but for those that it
    was found *within*.
    """
    if isinstance(value, list):
        return [shown(one, within) for one in value]
    if isinstance(value, dict):
        return [(name, shown(one, within)) for name, one in value.items()]
    if not isinstance(value, models.Model):
        return type(value), value
    if any(value is one for one in within):
        return "above", value.pk
    within = *within, value
    attributes = dict(vars(value))
    state = dict(vars(attributes.pop("_state")))
    if "peers" in state:
        state["peers"] = [getattr(peer(), "pk", None) for peer in state["peers"]]
    prefetched = attributes.pop("_prefetched_objects_cache", {})
    return (
        type(value),
        shown(attributes, within),
        {
            name: (shown(list(rows), within), queryset_of(rows, within))
            for name, rows in prefetched.items()
        },
        shown(state, within),
    )


def queryset_of(rows: Any, within: tuple[Any, ...]) -> Any:
    """What a user could see of a queryset that a manager returns, but for its rows."""
    known = [
        (str(field), key, shown(one, within))
        for field, related in rows._known_related_objects.items()
        for key, one in related.items()
    ]
    is_fetched = [rows.all()._result_cache is None, rows._prefetch_done]
    return (
        type(rows),
        rows.db,
        {name: shown(one, within) for name, one in rows._hints.items()},
        getattr(rows, "_fetch_mode", None),
        is_fetched,
        known,
        str(rows.all().query),
        str(rows.all().filter(pk__gt=1).query),
    )


def outcome(take: Callable[[], Any]) -> tuple[Any, Any]:
    """The result or the error, and the queries."""
    with CaptureQueriesContext(connection) as queries:
        result = result_of(take)
    return result, texts_of(queries)


def result_of(take: Callable[[], Any]) -> Any:
    try:
        return shown(take())
    except Exception as error:
        return type(error), str(error)
