"""From the values of a query to the parameters of its SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    CharField,
    EmailField,
    ForeignKey,
    IntegerField,
    Model,
    OneToOneField,
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
from django.db.models.expressions import Col
from django.db.models.fields import related_lookups, tuple_lookups

from vinyl.orm.plans.plain_models import has_plain
from vinyl.orm.plans.shapes import Kept
from vinyl.orm.plans.values import Unplannable

__all__ = ["INTEGERS", "Binder", "binder_for", "is_known", "target_of"]

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

# Django's lookups whose only parameter is the value, prepared by the field.
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
        related_lookups.RelatedExact,
    }
)
# The modules whose lookups depend on their value in `process_rhs()` alone.
KNOWN = frozenset({lookups.__name__, related_lookups.__name__})
# Django's lookups whose parameters are the elements of a list.
LISTS = frozenset({lookups.In, related_lookups.RelatedIn, tuple_lookups.TupleIn})


def is_known(lookup_class: type) -> bool:
    """
    Whether lookups of *lookup_class* depend on their value in `process_rhs()` alone, as
    those of projects may not. Never switches.
    """
    if issubclass(lookup_class, lookups.UUIDTextMixin):
        # On SQLite its `process_rhs()` changes the lookup itself, each time.
        return False
    return lookup_class.__module__ in KNOWN or lookup_class in LISTS


def target_of(field: Any) -> Any:
    """
    Return the field whose values *field* has: the target of a foreign key, or itself.
    Never switches.
    """
    while type(field) in (ForeignKey, OneToOneField):
        field = field.target_field
    return field


def _is_djangos_column(expression: Any) -> bool:
    """Whether *expression* is a column of one of Django's fields."""
    return type(expression) is Col and (
        type(expression.output_field).__module__.startswith("django.")
    )


def _is_null(value: Any) -> bool:
    """Whether Django asks for NULL in place of *value*, or refuses it."""
    if not isinstance(value, str):
        return value is None
    # As for Oracle. Django asks this database, whichever the query is for.
    return value == "" and bool(
        connections[DEFAULT_DB_ALIAS].features.interprets_empty_strings_as_nulls
    )


class Binder:
    """
    Makes the parameters of one lookup from another value of the same kind.

    Args:
        lookup: The lookup that Django made for a value of this kind.
        sql: The SQL that its `process_rhs()` returns. Another SQL is another shape.
        given: The value, as a filter was given it.
    """

    __slots__ = (
        "field",
        "field_of_column",
        "is_bindable",
        "is_of_instances",
        "lhs",
        "lookup_class",
        "prepares",
        "range",
        "sql",
    )

    def __init__(self, lookup: Any, sql: Any, given: Any, connection: Any) -> None:
        self.lookup_class = type(lookup)
        self.lhs = lookup.lhs
        self.field_of_column: Any = getattr(lookup.lhs, "output_field", None)
        self.sql = sql
        # Of integers that need no preparation: the field, and what it has room for.
        self.field: Any = None
        self.range: tuple[int, int] | None = None
        self.prepares = True
        first = given[0] if type(given) is list else given
        self.is_of_instances = isinstance(first, Model)
        # Whether the server may bind what is compared: with columns of Django's fields.
        self.is_bindable = all(
            map(
                _is_djangos_column,
                getattr(self.lhs, "get_cols", lambda: [self.lhs])(),
            )
        )
        kind = type(given)
        if self.lookup_class in PLAIN_LOOKUPS and not lookup.bilateral_transforms:
            field: Any = target_of(self.field_of_column)
            if kind is int and type(field) in INTEGERS:
                self.field = field
                self.range = _range_of(field, connection)
                self.prepares = False
            elif kind is str and type(field) in TEXTS:
                self.prepares = False

    def kept(self, value: Any) -> Any:
        """
        Return what to keep of *value* until the query is made: the value, or a `Kept`.

        Raises:
            Unplannable: This value makes a query of another shape.

        Also raises what Django raises for a value that the field does not accept. Never
        switches.
        """
        if not self.prepares:
            if value == "" and _is_null(value):
                raise Unplannable
            return value
        lookup = self.lookup_class(self.lhs, value)
        if _is_null(lookup.rhs):
            # The field has made NULL of it, for which Django has `isnull`, or an error.
            raise Unplannable
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


class ListBinder(Binder):
    """
    Makes the parameters of a lookup from a list of integers or texts that need no
    preparation, or from instances with such keys.

    Args:
        field: The field that the elements are values of.
    """

    __slots__ = ("count", "element", "key")

    def __init__(
        self, lookup: Any, sql: str, given: Any, connection: Any, field: Any
    ) -> None:
        super().__init__(lookup, sql, given, connection)
        self.prepares = False
        self.field = field
        self.element: Any = int if type(field) in INTEGERS else str
        if self.element is int:
            self.range = _range_of(field, connection)
        # The number of parameters. Django removes duplicates from the list.
        self.count = sql.count("%s")
        # The attribute of instances that holds their key.
        self.key: str = field.attname if self.is_of_instances else ""

    def kept(self, value: Any) -> Any:
        if not isinstance(value[0], Model):
            return value
        keys = [one.__dict__.get(self.key) for one in value]
        if {*map(type, keys)} == {self.element}:
            return Kept(keys, None)
        # Django fetches a deferred key, or refuses an instance without a key.
        lookup = self.lookup_class(self.lhs, value)
        return Kept(lookup.rhs, None)

    def bound(
        self, kept: Any, compiler: Callable[[], Any], connection: Any
    ) -> list[Any]:
        values = kept.given if type(kept) is Kept else kept
        if self.lookup_class is not tuple_lookups.TupleIn:
            values = [*dict.fromkeys(values)]
        if len(values) != self.count or {*map(type, values)} != {self.element}:
            raise Unplannable
        if self.range is not None:
            low, high = self.range
            if not (low <= min(values) and max(values) <= high):
                raise Unplannable
        prepare = self.field.get_db_prep_value
        return [prepare(value, connection, prepared=True) for value in values]


class YearBinder(Binder):
    """Makes the parameters of a comparison of a date or a time with a year."""

    __slots__ = ()

    def __init__(self, lookup: Any, sql: str, given: Any, connection: Any) -> None:
        super().__init__(lookup, sql, given, connection)
        self.prepares = True
        # The column itself is compared, with dates or times.
        column = lookup.lhs.lhs
        self.is_bindable = _is_djangos_column(column)
        self.field_of_column = column.output_field

    def bound(
        self, kept: Any, compiler: Callable[[], Any], connection: Any
    ) -> list[Any]:
        lookup = (kept if type(kept) is Kept else self.kept(kept)).lookup
        sql, _ = lookup.process_rhs(compiler(), connection)
        if sql != self.sql:
            raise Unplannable
        # In the time zone of this moment.
        bounds = lookup.year_lookup_bounds(connection, lookup.rhs)
        return [*lookup.get_bound_params(*bounds)]


class InstanceBinder(Binder):
    """
    Makes the parameter of a comparison of a foreign key with an instance, from
    instances that hold their key, an integer or a text.

    Args:
        field: The primary key of the instances.
    """

    __slots__ = ("element", "key")

    def __init__(
        self, lookup: Any, sql: str, given: Any, connection: Any, field: Any
    ) -> None:
        super().__init__(lookup, sql, given, connection)
        self.field = field
        self.element: Any = int if type(field) in INTEGERS else str
        if self.element is int:
            self.range = _range_of(field, connection)
        # The attribute of instances that holds their key.
        self.key: str = field.attname

    def kept(self, value: Any) -> Any:
        key = value.__dict__.get(self.key)
        if type(key) is self.element:
            return Kept(key, None)
        # Django fetches a deferred key, or refuses an instance without a key.
        return Kept(self.lookup_class(self.lhs, value).rhs, None)

    def bound(
        self, kept: Any, compiler: Callable[[], Any], connection: Any
    ) -> list[Any]:
        value: Any = (kept if type(kept) is Kept else self.kept(kept)).given
        if type(value) is not self.element:
            raise Unplannable
        if self.range is not None and not self.range[0] <= value <= self.range[1]:
            raise Unplannable
        return [self.field.get_db_prep_value(value, connection, prepared=True)]


def _range_of(field: Any, connection: Any) -> tuple[int, int]:
    low, high = connection.ops.integer_field_range(field.get_internal_type())
    return (-(2**63) if low is None else low, 2**63 - 1 if high is None else high)


def binder_for(lookup: Any, sql: str, given: Any, connection: Any) -> Binder:
    """
    Return the binder that makes the parameters of *lookup* from other values.

    Args:
        sql: The SQL that its `process_rhs()` returns.
        given: The value, as a filter was given it.

    Raises:
        Unplannable: There is none.

    Never switches.
    """
    if type(given) is list and type(lookup) in LISTS:
        field = _element_field(lookup)
        first = given[0]
        if type(field) in INTEGERS | TEXTS and (
            isinstance(first, Model)
            and _has_key(type(first), field)
            or type(first) is (int if type(field) in INTEGERS else str)
        ):
            return ListBinder(lookup, sql, given, connection, field)
    if type(lookup) is tuple_lookups.TupleIn:
        raise Unplannable
    if isinstance(lookup, lookups.YearLookup):
        return YearBinder(lookup, sql, given, connection)
    if type(lookup) is related_lookups.RelatedExact and isinstance(given, Model):
        field = _element_field(lookup)
        if type(field) in INTEGERS | TEXTS and _has_key(type(given), field):
            return InstanceBinder(lookup, sql, given, connection, field)
    return Binder(lookup, sql, given, connection)


def _element_field(lookup: Any) -> Any:
    """
    The field of what is compared: of the elements of a list, or of the instance. None
    if there is not exactly one.
    """
    if lookup.bilateral_transforms:
        return None
    if isinstance(lookup, tuple_lookups.TupleIn):
        targets = lookup.lhs.targets
        return targets[0] if len(targets) == 1 else None
    if type(lookup.lhs) is not Col:
        return None
    field: Any = lookup.lhs.output_field
    if isinstance(lookup, related_lookups.RelatedIn | related_lookups.RelatedExact):
        targets = field.path_infos[-1].target_fields
        target = getattr(field, "target_field", None)
        return target if [target] == [*targets] else None
    return field


def _has_key(model: Any, field: Any) -> bool:
    """Whether the value of *field* is the primary key of instances of *model*."""
    return (
        issubclass(model, field.model)
        and model._meta.pk.attname == field.attname
        and model._is_pk_set is Model._is_pk_set
        and model.pk is Model.pk
        and has_plain(model, field.attname)
    )
