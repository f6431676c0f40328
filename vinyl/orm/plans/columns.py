"""From the values that a statement writes to the parameters of its SQL."""

from __future__ import annotations

from typing import Any

from django.db.models import CharField, Field, ForeignKey, TextField

from vinyl.orm.plans.shapes import LITERAL, PLAIN

__all__ = ["WRITTEN", "Column", "IsExpression", "has_methods"]

# The types of values that are never expressions.
WRITTEN = PLAIN | LITERAL
# The modules of fields whose values PostgreSQL converts to the type of the column.
_BINDABLE = frozenset({Field.__module__, ForeignKey.__module__})


class IsExpression(Exception):
    """A value to write is an expression, which Django's compiler has to resolve."""


class Column:
    """
    How the values of a field are prepared to be written.

    Args:
        field: The field.
        is_raw: Whether the value is the attribute of the object as it is.
    """

    __slots__ = ("attname", "field", "is_bindable", "is_read", "is_text")

    def __init__(self, field: Any, is_raw: bool = False) -> None:
        self.field = field
        self.attname: str = field.attname
        # Whether the server may bind the parameter.
        self.is_bindable = type(field).__module__ in _BINDABLE
        # Whether the value is the attribute of the object as it is.
        self.is_read = is_raw or has_methods(field, "pre_save", Field)
        # Such fields store a string as it is.
        self.is_text = has_methods(
            field, "get_db_prep_save get_db_prep_value", Field
        ) and has_methods(field, "get_prep_value to_python", CharField, TextField)

    def prepared(self, obj: Any, connection: Any, pre_saved: list[Any]) -> Any:
        """
        Return the parameter for *obj*, which is to be inserted.

        Args:
            pre_saved: Gets what a `pre_save()` that may do something has returned.

        Raises:
            IsExpression: The value is an expression.

        Never switches, unless the field's `pre_save()` or a deferred field does.
        """
        if self.is_read:
            value = getattr(obj, self.attname)
        else:
            value = self.field.pre_save(obj, add=True)
            pre_saved.append(value)
        return self.param(value, connection)

    def param(self, value: Any, connection: Any) -> Any:
        """
        Return the parameter for *value*.

        Raises:
            IsExpression: The value is an expression.

        Never switches.
        """
        if self.is_text and (type(value) is str or value is None):
            return value
        if type(value) not in WRITTEN and (
            hasattr(value, "resolve_expression") or hasattr(value, "as_sql")
        ):
            raise IsExpression
        value = self.field.get_db_prep_save(value, connection=connection)
        if type(value) not in WRITTEN and hasattr(value, "as_sql"):
            raise IsExpression
        return value


def has_methods(field: Any, names: str, *owners: type) -> bool:
    """Whether *field* has the methods *names* of one of *owners*. Never switches."""
    return all(
        name not in vars(field)
        and any(getattr(type(field), name) is getattr(owner, name) for owner in owners)
        for name in names.split()
    )
