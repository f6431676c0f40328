"""The value of a form's field as a short text."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import formats
from django.utils.text import Truncator
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]
from django.utils.translation import gettext

__all__ = ["shown"]


def shown(field: Any, value: Any, length: int) -> str:
    """
    Return *value* as a visitor reads it: the names of related objects and of choices,
    dates in their format, "-" for nothing. What is typed into a field for passwords is
    not shown. Switches to the event loop.

    Args:
        field: The form field; it has the related objects and the choices.
        value: As the form or the model instance has it.
        length: The maximum, in characters.
    """
    return Truncator(", ".join(_texts(field, value)) or "-").chars(length)


def _texts(field: Any, value: Any) -> Iterator[str]:
    if isinstance(field.widget, forms.PasswordInput):
        if value not in (None, ""):
            yield "•" * 8
    elif isinstance(field, forms.ModelChoiceField):
        several = isinstance(value, (list, tuple, models.QuerySet))
        for one in value if several else [value]:
            if isinstance(one, models.Model):
                yield field.label_from_instance(one)
            elif one not in (None, ""):
                try:
                    yield field.label_from_instance(field.to_python(one))
                except (ValidationError, ValueError):
                    yield str(one)
    elif isinstance(value, bool):
        yield gettext("Yes") if value else gettext("No")
    elif value not in (None, "", []):
        choices = dict(getattr(field, "choices", ()))
        known = choices.get(value) if isinstance(value, Hashable) else None
        known = known or choices.get(str(value))
        shown = known or formats.localize(template_localtime(value), use_l10n=True)
        yield str(shown)
