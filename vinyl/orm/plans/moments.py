"""
Parts of dates and moments, such as `released__month` and `joined__date`.

The SQL of these has parameters of its own, such as the name of the time zone in which
a query asks for the date of a moment. A plan asks Django's function for them each time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db.models.expressions import Col
from django.db.models.functions.datetime import TimezoneMixin

from vinyl.orm.plans.shapes import Unplannable
from vinyl.records import NamedTuple

__all__ = ["Own", "followed", "is_followed", "now"]

_MODULE = TimezoneMixin.__module__


class Own(NamedTuple):
    """
    A parameter of a function itself: the *position*-th of those that it has now.

    Args:
        function: The function, of a column.
        sql: Its SQL. Another SQL is another shape.
        position: Which of its parameters it is.
    """

    function: Any
    sql: str
    position: int


class _Followed:
    """A function that gives each of its own parameters as an `Own` where plans ask."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        sql, params = _as_django(self, compiler, connection)
        runs = getattr(compiler.query, "runs", None)
        if runs is None or runs.tied is None:
            return sql, params
        return sql, [Own(self, sql, position) for position in range(len(params))]


def _as_django(function: Any, compiler: Any, connection: Any) -> tuple[str, Any]:
    django: Any = super(_Followed, function)
    found: tuple[str, Any] = django.as_sql(compiler, connection)
    return found


@cache
def _followed_class(cls: Any) -> Any:
    # Copies of a function have its class, where an attribute would refer to the first.
    return type(cls.__name__, (_Followed, cls), {"__module__": cls.__module__})


def followed(function: Any) -> Any:
    """
    Return *function*, which Django has just made. If it is one of Django's for dates or
    moments, of a column, its own parameters can be followed. Never switches.
    """
    cls: Any = type(function)
    if (
        isinstance(function, TimezoneMixin)
        and cls.__module__ == _MODULE
        and type(getattr(function, "lhs", None)) is Col
    ):
        function.__class__ = _followed_class(cls)
    return function


def is_followed(function: Any) -> bool:
    """Whether the parameters of *function* can be followed. Never switches."""
    return isinstance(function, _Followed)


def now(param: Own, compiler: Any, connection: Any) -> Any:
    """
    Return the parameter that *param* stands for.

    Raises:
        Unplannable: The function has another SQL now.

    Never switches.
    """
    sql, params = _as_django(param.function, compiler, connection)
    if sql != param.sql:
        raise Unplannable
    return params[param.position]
