"""The log of changes with old and new values, within the messages of Django's log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.utils.translation import gettext, override

from vinyl.records import NamedTuple
from vinyl.web.admin.values import shown

__all__ = ["AuditedChanges"]

# Names of fields whose values are never stored.
SENSITIVE = re.compile(
    r"pass(word|wd|phrase|code)|secret|token|api_?key|private_?key|credential", re.I
)
MAX_STORED = 200

# What Django's own admin does not read and leaves alone.
VALUES, MODEL = "vinyl_values", "vinyl_model"


class Change(NamedTuple):
    """A field of a log entry: its label, and the values as text."""

    label: str
    old: str
    new: str


class AuditedChanges(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at runtime
    """What vinyl's ModelAdmin adds to the log of changes."""

    # Names of fields whose values are not stored in the log, beside those with names
    # such as "password" and "api_key".
    audit_exclude: tuple[str, ...] | list[str] = ()

    def construct_change_message(
        self, request: Any, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        message: Any = super().construct_change_message(request, form, formsets, add)
        if isinstance(message, list):
            forms_of = _forms_of_entries(form, formsets, add)
            with override(None):
                for entry, of in zip(message, forms_of, strict=False):
                    # The form for a new password is for no model.
                    model = getattr(getattr(of, "instance", None), "_meta", None)
                    if model is not None and "changed" in entry:
                        entry["changed"][MODEL] = model.label
                        entry["changed"][VALUES] = self._values(of)
        return message

    def _values(self, form: Any) -> list[tuple[str, ...]]:
        values = []
        for name in form.changed_data:
            field = form.fields.get(name)
            if field is None or name in self.audit_exclude:
                continue
            if _is_sensitive(name, field):
                continue
            old = form.get_initial_for_field(field, name)
            new = form.cleaned_data.get(name)
            texts = (shown(field, value, MAX_STORED) for value in (old, new))
            values.append((name, str(field.label or name), *texts))
        return values

    def history_view(
        self, request: Any, object_id: str, extra_context: Any = None
    ) -> Any:
        context = {"changes_of": _changes_for(self, request), **(extra_context or {})}
        return super().history_view(request, object_id, context)


def _forms_of_entries(form: Any, formsets: Any, add: bool) -> Iterator[Any]:
    """Yield the form of each entry of Django's message, in its order, or None."""
    if add:
        yield None
    elif form.changed_data:
        yield form
    for formset in formsets or ():
        yield from (None for _ in formset.new_objects)
        by_object = {id(one.instance): one for one in formset.forms}
        for changed, _ in formset.changed_objects:
            yield by_object.get(id(changed))
        yield from (None for _ in formset.deleted_objects)


def _is_sensitive(name: str, field: Any) -> bool:
    return bool(SENSITIVE.search(name)) or isinstance(field.widget, forms.PasswordInput)


def _changes_for(options: Any, request: Any) -> Callable[[Any, Any], list[Change]]:
    """
    Return what gives the changes of a log entry about an object: those of the fields
    that the visitor of *request* sees on its form.
    """
    visible: dict[str, set[str]] = {}

    def changes_of(entry: Any, obj: Any) -> list[Change]:
        if not visible:
            visible.update(_visible_fields(options, request, obj))
        changes = []
        for about in _stored(entry):
            fields = visible.get(about.get(MODEL, ""), set())
            before = f"{about['object']}: " if "object" in about else ""
            for name, label, old, new in about[VALUES]:
                if name in fields:
                    changes.append(Change(before + gettext(label), old, new))
        return changes

    return changes_of


def _visible_fields(options: Any, request: Any, obj: Any) -> dict[str, set[str]]:
    own = {str(one) for one in flatten_fieldsets(options.get_fieldsets(request, obj))}
    visible = {options.model._meta.label: own}
    for inline in options.get_inline_instances(request, obj):
        fields = flatten_fieldsets(inline.get_fieldsets(request, obj))
        visible.setdefault(inline.model._meta.label, set()).update(map(str, fields))
    return visible


def _stored(entry: Any) -> Iterator[dict[str, Any]]:
    try:
        message = json.loads(entry.change_message or "[]")
    except ValueError:
        # Text that a project has written.
        return
    for part in message if isinstance(message, list) else ():
        about = part.get("changed") if isinstance(part, dict) else None
        if isinstance(about, dict) and isinstance(about.get(VALUES), list):
            yield about
