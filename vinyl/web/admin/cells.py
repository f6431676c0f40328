"""The cells of an import: the form field that checks those of a column."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.forms.models import apply_limit_choices_to_to_formfield
from django.utils.translation import gettext

from vinyl.web.admin.keys import is_key

__all__ = ["Choice", "Choices", "Range", "Several", "Truth", "cell_field", "refusal"]

TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})

# As PostgreSQL and an export write a range; the ends that forms give to one.
RANGE = re.compile(r"\[\s*(.*?)\s*,\s*(.*?)\s*\)")


class Truth(forms.Field):
    """A truth value in words: a checkbox would take every word for true."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> bool | None:
        word = str(value or "").strip().lower()
        if word in TRUE or word in FALSE:
            return word in TRUE
        if not word:
            return None
        raise ValidationError(gettext("Write “true” or “false”."))


class Choice(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at runtime
    """A related object by one of its fields, looked up once for each value."""

    widget = forms.TextInput

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Copies of the field share it.
        self.known: dict[str, Any] = {}

    def learn(self, cells: Iterable[str]) -> None:
        """Look up the objects of many cells in one query. Switches."""
        wanted = {cell.strip() for cell in cells} - self.known.keys() - {""}
        key = self.to_field_name or "pk"
        if not wanted or LOOKUP_SEP in key:
            return
        queryset: Any = self.queryset
        field = queryset.model._meta.pk
        if key != "pk":
            field = queryset.model._meta.get_field(key)
        values = {}
        for cell in wanted:
            # The row of another one has an error.
            if is_key(field, cell, queryset.db):
                values[cell] = field.to_python(cell)
        found = defaultdict(list)
        for obj in queryset.filter((f"{key}__in", [*values.values()])):
            found[getattr(obj, field.attname)].append(obj)
        for cell, value in values.items():
            if len(found[value]) == 1:
                [self.known[cell]] = found[value]

    def to_python(self, value: Any) -> Any:
        value = str(value or "").strip()
        if value not in self.known:
            try:
                self.known[value] = super().to_python(value)
            except self.queryset.model.MultipleObjectsReturned as error:  # type: ignore[union-attr]  # a queryset by now
                raise ValidationError(
                    gettext("There is more than one object of this name.")
                ) from error
        return self.known[value]

    def has_changed(self, initial: Any, data: Any) -> bool:
        if not isinstance(initial, models.Model):
            return super().has_changed(initial, data)
        return bool(self.to_python(data) != initial)


class Choices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as above
    """Related objects: between commas, or a list of JSON."""

    widget = forms.TextInput

    def __init__(self, queryset: Any, **kwargs: Any) -> None:
        super().__init__(queryset, **kwargs)
        self.one = Choice(queryset, to_field_name=self.to_field_name)

    def learn(self, cells: Iterable[str]) -> None:
        """Look up the objects of many cells in one query. Switches."""
        words: set[str] = set()
        for cell in cells:
            try:
                words.update(map(str, listed(cell)))
            except ValidationError:
                # Its row has an error.
                continue
        self.one.learn(words)

    def clean(self, value: Any) -> list[Any]:  # type: ignore[override]  # no queryset
        words = listed(value)
        if self.required and not words:
            raise ValidationError(self.error_messages["required"])
        found = []
        for word in words:
            try:
                found.append(self.one.clean(word))
            except ValidationError as error:
                where = f"{word}: "
                raise ValidationError([where + m for m in error.messages]) from error
        return [*dict.fromkeys(found)]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return {*(initial or ())} != {*self.clean(data)}


class Several(forms.Field):
    """A list: between commas, or of JSON, as it is exported."""

    widget = forms.TextInput

    def __init__(self, items: forms.Field) -> None:
        super().__init__(required=items.required)
        self.items = items

    def clean(self, value: Any) -> Any:
        text = str(value or "").strip()
        return self.items.clean(listed(text) if text.startswith("[") else text)


class Range(forms.Field):
    """A range with its lower end and without its upper one: “[1950, 1960)”."""

    widget = forms.TextInput

    def __init__(self, ends: forms.Field) -> None:
        super().__init__(required=ends.required)
        self.ends = ends

    def clean(self, value: Any) -> Any:
        text = str(value or "").strip()
        match = RANGE.fullmatch(text)
        if text and match is None:
            raise ValidationError(gettext("Write a range as “[1, 5)”."))
        ends = match.groups() if match else ("", "")
        return self.ends.clean(["" if end == "None" else end for end in ends])


def listed(text: Any) -> list[Any]:
    """
    Return the items of a cell. Never switches.

    Raises:
        ValidationError: It looks like JSON, and is not.
    """
    text = str(text or "").strip()
    if not text.startswith("["):
        return [word for part in text.split(",") if (word := part.strip())]
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(gettext("This is not a list of JSON.")) from error
    return list(items)


def cell_field(model_admin: Any, request: Any, db_field: Any, lookup: str) -> Any:
    """
    Return the form field for the cells of a column. May switch.

    Args:
        model_admin: Which related objects its forms offer is what a cell may name.
        request: The visitor's.
        db_field: The field of the model.
        lookup: What a cell has of a related object; "" for its key.
    """
    if db_field.many_to_many:
        offered = model_admin.formfield_for_manytomany(db_field, request)
        return _limited(Choices, offered, db_field, lookup or "pk")
    if isinstance(db_field, models.ForeignKey):
        offered = model_admin.formfield_for_foreignkey(db_field, request)
        return _limited(Choice, offered, db_field, lookup or db_field.target_field.name)
    if isinstance(db_field, models.BooleanField):
        return Truth(required=not db_field.null)
    field = db_field.formfield()
    if hasattr(field, "base_field") and hasattr(field, "delimiter"):
        return Several(field)
    if isinstance(field, forms.MultiValueField):
        return Range(field)
    return field


def _limited(kind: Any, offered: Any, db_field: Any, key: str) -> Any:
    apply_limit_choices_to_to_formfield(offered)
    required = not db_field.blank
    return kind(offered.queryset, required=required, to_field_name=key)


def refusal(model: Any, name: str) -> str:
    """
    Return why an import cannot fill a field; "" if it can. Never switches.

    Args:
        model: The model of the rows.
        name: As in `import_fields`.
    """
    own, _, lookup = name.partition(LOOKUP_SEP)
    meta = model._meta
    try:
        field = meta.pk if own == "pk" else meta.get_field(own)
    except FieldDoesNotExist:
        return f"{meta.object_name} has no field {own!r}"
    if field.auto_created and not field.concrete:
        return "it is a field of the other model"
    if lookup and not field.remote_field:
        return f"{own!r} is not a relation"
    if lookup:
        try:
            _follow(field.remote_field.model, lookup)
        except FieldDoesNotExist as error:
            return str(error)
    if field.primary_key:
        return ""
    if isinstance(field, (models.FileField, models.BinaryField)):
        return "a table has no files"
    if not field.editable:
        return "the field is not editable"
    if field.many_to_many and not field.remote_field.through._meta.auto_created:
        through = field.remote_field.through._meta.object_name
        return f"its rows are of {through}, which may have other fields"
    if field.remote_field:
        return ""
    if (made := field.formfield()) is None:
        return "the field has no field of a form"
    if isinstance(made, forms.MultiValueField) and not hasattr(field, "range_type"):
        return "its form field takes several values"
    return ""


def _follow(model: Any, lookup: str) -> None:
    for name in lookup.split(LOOKUP_SEP):
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        model = field.related_model or model
