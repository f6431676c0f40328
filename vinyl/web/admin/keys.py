"""Keys that somebody has typed or sent, which may be anything."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import connections, models

__all__ = ["SeveralKeys", "is_key"]


def is_key(field: Any, value: Any, using: str = "default") -> bool:
    """
    Return whether rows can have *value*: it is of the type of a field, and a number is
    no larger than its column. Never switches.

    Args:
        field: The field of a model; a foreign key stands for what it refers to.
        value: As it was sent.
        using: The alias of the database.
    """
    while field.remote_field is not None:
        field = field.target_field
    try:
        key = field.to_python(value)
    except (ValidationError, ValueError, TypeError, OverflowError):
        return False
    if isinstance(key, str):
        return "\0" not in key
    if isinstance(field, models.IntegerField) and key is not None:
        ops = connections[using].ops
        low, high = ops.integer_field_range(field.get_internal_type())
        return (low is None or key >= low) and (high is None or key <= high)
    return key is not None


class SeveralKeys(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic at runtime
    """
    Django's field for several objects, with an error for a number that is larger than
    any key: SQLite cannot compare with it.
    """

    def clean(self, value: Any) -> Any:
        queryset: Any = self.queryset
        field = queryset.model._meta.pk
        if self.to_field_name:
            field = queryset.model._meta.get_field(self.to_field_name)
        for one in value if isinstance(value, (list, tuple)) else ():
            # Django has errors of its own for what is no number.
            if str(one).strip("-").isdecimal() and not is_key(field, one, queryset.db):
                raise ValidationError(
                    self.error_messages["invalid_choice"],
                    code="invalid_choice",
                    params={"value": one},
                )
        return super().clean(value)
