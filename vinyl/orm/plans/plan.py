"""Plans: the query of a shape on one database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.sql.subqueries import DeleteQuery, UpdateQuery

from vinyl.orm.backends.reads import is_read
from vinyl.orm.backends.statements import Statement
from vinyl.orm.plans.marked_query import One, unmark
from vinyl.orm.plans.moments import Own, now
from vinyl.orm.plans.shapes import Reference
from vinyl.orm.plans.values import Unplannable

if TYPE_CHECKING:
    from vinyl.orm.plans.assignments import Assignment
    from vinyl.orm.plans.binders import Binder
    from vinyl.orm.plans.converters import Converters

__all__ = ["Plan", "is_djangos"]


class Plan:
    """
    The query of a shape on one database: its SQL, and where its parameters come from.

    Args:
        compiler: Django's compiler of the query, after it has compiled it.
        sql: The SQL, with placeholders.
        params: The parameters. A Reference stands for a parameter that comes from a
            value, a One for that of `exists()`, an Own for one of a part of a date.
        binders: The binder of each slot, first of lookups, then of assignments.
    """

    __slots__ = (
        "_only_reads",
        "binders",
        "converters",
        "counts",
        "is_djangos",
        "load",
        "locks",
        "models",
        "names",
        "order",
        "params",
        "query",
        "sql",
        "statement",
        "width",
    )

    def __init__(
        self,
        compiler: Any,
        sql: str,
        params: tuple[Any, ...],
        binders: list[Binder | Assignment],
    ) -> None:
        self.query = compiler.query
        unmark(self.query)
        self.sql = sql
        # The statement whose parameters the server binds; None if a parameter could get
        # another type there. SQLite binds parameters in every statement.
        is_bindable = compiler.connection.vendor == "sqlite" or _is_bindable(
            params, binders
        )
        self.statement: Statement | None = None
        if is_bindable:
            counts = isinstance(self.query, (DeleteQuery, UpdateQuery))
            self.statement = Statement(sql, counts=counts)
        self.params = tuple(
            [param.param if type(param) is One else param for param in params]
        )
        self.binders = binders
        # The number of parameters of each value, if there are no others; None
        # otherwise. And where each parameter is among those of the values, one value
        # after the other; None if that is their order.
        self.counts, self.order = _order(params, len(binders))
        # The number of columns of the result if the rows have more, because a DISTINCT
        # query also selects the columns of its ordering; None otherwise.
        self.width: int | None = (
            compiler.col_count if getattr(compiler, "has_extra_select", False) else None
        )
        # Whether it may lock rows, which Django refuses outside a transaction.
        self.locks = False
        # Converts the values of the rows; None if there is nothing to convert.
        self.converters: Converters | None = None
        # Creates objects from the rows; None if the query returns one value.
        self.load: Any = None
        # The models of the instances that it creates, and the names of the attributes
        # that instances of the first model get; None if it creates no instances.
        self.models: list[Any] = []
        self.names: frozenset[str] | None = None
        # Whether the fields of its values and its columns are Django's own.
        self.is_djangos = all(is_djangos(binder.field_of_column) for binder in binders)
        # None until that is asked.
        self._only_reads: bool | None = None

    def only_reads(self) -> bool:
        """Whether running its query a second time changes nothing. Never switches."""
        if self._only_reads is None:
            self._only_reads = is_read(self.query)
        return self._only_reads

    def bound(self, values: tuple[Any, ...], connection: Any) -> tuple[Any, ...]:
        """
        Return the parameters for *values*.

        Raises:
            Unplannable: The query of these values has another shape.

        Never switches.
        """

        def compiler() -> Any:
            return self.query.get_compiler(connection=connection)

        try:
            if self.counts is not None:
                params: list[Any] = []
                for binder, value, count in zip(
                    self.binders, values, self.counts, strict=True
                ):
                    bound = binder.bound(value, compiler, connection)
                    # A lookup may return another number of them for other values.
                    if len(bound) != count:
                        raise Unplannable
                    params += bound
                if self.order is not None:
                    params = [params[place] for place in self.order]
                return tuple(params)
            of_values = [
                binder.bound(value, compiler, connection)
                for binder, value in zip(self.binders, values, strict=True)
            ]
        except (EmptyResultSet, FullResultSet):
            raise Unplannable from None
        return tuple(
            [
                of_values[param.slot][param.position]
                if type(param) is Reference
                else now(param, compiler(), connection)
                if type(param) is Own
                else param
                for param in self.params
            ]
        )


def _order(
    params: tuple[Any, ...], slots: int
) -> tuple[list[int] | None, list[int] | None]:
    """What `Plan` says of its `counts` and its `order`."""
    if not all(type(param) is Reference for param in params):
        return None, None
    of_slots = Counter(param.slot for param in params)
    counts = [of_slots[slot] for slot in range(slots)]
    in_order = [
        Reference(slot, n) for slot, count in enumerate(counts) for n in range(count)
    ]
    if [*params] == in_order:
        return counts, None
    places = {param: place for place, param in enumerate(in_order)}
    if {*params} != places.keys():
        # A parameter is there twice.
        return None, None
    return counts, [places[param] for param in params]


def _is_bindable(params: tuple[Any, ...], binders: list[Binder | Assignment]) -> bool:
    """
    Whether PostgreSQL infers the same types for the parameters as for literals, which
    it does where they are compared with a column or assigned to one. Nothing reads the
    value of a One.
    """
    if not all(type(param) in (Reference, One) for param in params):
        return False
    # A second placeholder for a value makes another expression than the first, which
    # matters to GROUP BY and DISTINCT.
    if len({*params}) < len(params):
        return False
    return all(binder.is_bindable for binder in binders)


def is_djangos(field: Any) -> bool:
    """Whether the class of *field* is one of Django's. Never switches."""
    return type(field).__module__.startswith("django.")
