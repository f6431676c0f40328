"""From the values of a query to the parameters of its SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    CharField,
    EmailField,
    IntegerField,
    Model,
    PositiveBigIntegerField,
    PositiveIntegerField,
    PositiveSmallIntegerField,
    SlugField,
    SmallAutoField,
    SmallIntegerField,
    TextField,
    URLField,
    lookups,
)
from django.db.models.fields import related_lookups

from vinyl.orm.plans.shapes import Kept
from vinyl.orm.plans.values import Unplannable

__all__ = ["Binder", "Reference"]

INTEGERS = frozenset(
    {
        AutoField,
        BigAutoField,
        BigIntegerField,
        IntegerField,
        PositiveBigIntegerField,
        PositiveIntegerField,
        PositiveSmallIntegerField,
        SmallAutoField,
        SmallIntegerField,
    }
)
TEXTS = frozenset({CharField, EmailField, SlugField, TextField, URLField})

# Lookups of Django's whose parameter is the value itself, as the field prepares it.
PLAIN_LOOKUPS = frozenset(
    {
        lookups.Exact,
        lookups.GreaterThan,
        lookups.GreaterThanOrEqual,
        lookups.LessThan,
        lookups.LessThanOrEqual,
        lookups.IntegerFieldExact,
        lookups.IntegerGreaterThan,
        lookups.IntegerGreaterThanOrEqual,
        lookups.IntegerLessThan,
        lookups.IntegerLessThanOrEqual,
    }
)
# The modules whose lookups depend on their value in `process_rhs()` alone.
KNOWN = frozenset({lookups.__name__, related_lookups.__name__})


class Reference(NamedTuple):
    """A parameter that comes from a value: the *position*-th of those of *slot*."""

    slot: int
    position: int


class Binder:
    """
    Makes the parameters of one lookup from another value of the same kind.

    Args:
        lookup: The lookup that Django made for a value of this kind.
        sql: What its `process_rhs()` gives as SQL. Another SQL is another shape.
        given: The value, as a filter was given it.
    """

    __slots__ = (
        "field",
        "is_of_instances",
        "lhs",
        "lookup_class",
        "prepares",
        "range",
        "sql",
    )

    def __init__(self, lookup: Any, sql: Any, given: Any, connection: Any) -> None:
        self.lookup_class = type(lookup)
        if self.lookup_class.__module__ not in KNOWN:
            raise Unplannable
        self.lhs = lookup.lhs
        self.sql = sql
        # Of integers that need no preparation: the field, and what it has room for.
        self.field: Any = None
        self.range: tuple[int, int] | None = None
        self.prepares = True
        first = given[0] if type(given) is list else given
        self.is_of_instances = isinstance(first, Model)
        kind = type(given)
        if self.lookup_class in PLAIN_LOOKUPS and not lookup.bilateral_transforms:
            field: Any = getattr(lookup.lhs, "output_field", None)
            if kind is int and type(field) in INTEGERS:
                self.field = field
                internal_type = field.get_internal_type()
                low, high = connection.ops.integer_field_range(internal_type)
                self.range = (
                    -(2**63) if low is None else low,
                    2**63 - 1 if high is None else high,
                )
                self.prepares = False
            elif kind is str and type(field) in TEXTS:
                self.prepares = False

    def kept(self, value: Any) -> Any:
        """
        Return what to keep of *value* until the query is made: the value, or a `Kept`.
        Raises what Django raises for a value that the field does not accept.

        Never switches.
        """
        if not self.prepares:
            return value
        lookup = self.lookup_class(self.lhs, value)
        # An instance may be another one's row by then: what counts is its key now.
        if self.is_of_instances:
            value = lookup.rhs
        return Kept(value, lookup)

    def is_like(self, other: Binder) -> bool:
        """Whether it makes the same of every value. Never switches."""
        return (
            self.lookup_class is other.lookup_class
            and self.prepares == other.prepares
            and self.field is other.field
            and self.sql == other.sql
        )

    def bound(
        self, kept: Any, compiler: Callable[[], Any], connection: Any
    ) -> list[Any]:
        """
        Return the parameters for *kept*: what `kept()` gave, or the value itself.

        Raises:
            Unplannable: This value makes a query of another shape.

        Never switches.
        """
        if not self.prepares:
            if self.range is None:
                return [kept]
            low, high = self.range
            if not low <= kept <= high:
                raise Unplannable
            return [self.field.get_db_prep_value(kept, connection, prepared=True)]
        lookup = (kept if type(kept) is Kept else self.kept(kept)).lookup
        sql, params = lookup.process_rhs(compiler(), connection)
        if sql != self.sql:
            raise Unplannable
        return params
