"""
Lost updates: a form knows the values that it was made from, and is not saved over newer
ones before the visitor has seen them.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from decimal import Decimal
from itertools import chain
from typing import Any

from django.core.exceptions import BadRequest, ValidationError
from django.db import models, transaction
from django.forms import ModelChoiceField
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext

from vinyl.records import NamedTuple
from vinyl.web.admin.held import is_quiet
from vinyl.web.admin.values import shown

__all__ = [
    "VERSION",
    "conflicts_of",
    "lock_object",
    "locked",
    "refuse_other_rows",
    "rows_of",
    "version_of",
    "watch_form",
    "watch_rows",
]

# Names of posted fields: what the forms of a page were made from; and the fields whose
# newer value is to be kept.
VERSION, THEIRS = "_version", "_theirs"
MAX_SHOWN = 500

Digests = dict[str, str]


class Conflict(NamedTuple):
    """
    A field that somebody else has changed meanwhile.

    Attributes:
        name: Of the posted field.
        row: The object, if it is one of several on the page.
        label: Of the field.
        yours, theirs: The values, as text.
        takes_theirs: Whether theirs is proposed: the visitor left the field alone.
    """

    name: str
    row: str
    label: str
    yours: str
    theirs: str
    takes_theirs: bool


def watch_form(form: Any, request: Any, *, is_row: bool = False) -> None:
    """
    Let *form*, a class of model forms made for one request, compare the values that it
    was made from with those of the database before it is saved. Never switches.
    """
    full_clean = form.full_clean
    error = gettext("Choose between the versions in the table above, and save again.")

    gone = gettext(
        "Somebody else has deleted this row meanwhile. Delete it here, too; what you "
        "typed can be copied to a new row."
    )

    def watched_clean(self: Any) -> None:
        versions = _posted(request) if self.is_bound else None
        before = (versions or {}).get(self.prefix or "")
        # A new object has a key already where the field has a default.
        if before is None or self.instance._state.adding:
            full_clean(self)
            if before and is_row and self.errors.pop(self.instance._meta.pk.name, None):
                self.add_error(None, gone)
            return
        self.vinyl_version = before
        state = _state(self)
        now = _digests(self, state)
        asks = not is_quiet(request)
        stale = [n for n in before if asks and n in now and before[n] != now[n]]
        chosen = {*request.POST.getlist(THEIRS)}
        taken = [name for name in now if self.add_prefix(name) in chosen]
        row = str(self.instance) if is_row and (stale or taken) else ""
        for name in taken:
            # Django takes the value of the database for a disabled field.
            self.fields[name].disabled = True
        full_clean(self)
        for name in taken:
            self.fields[name].disabled = False
        # What was chosen before is offered again, if the page is shown again.
        found = []
        is_new = False
        for name in dict.fromkeys([*stale, *taken]):
            yours = self[name].data
            if name not in taken:
                yours = self.cleaned_data.get(name, yours)
            differs = _normal(yours) != _normal(state[name])
            if name in taken or differs:
                is_new = is_new or name in stale
                digest = _digest(_digest_of_object(self), name, yours)
                left_alone = digest == before.get(name)
                found.append(
                    Conflict(
                        self.add_prefix(name),
                        row,
                        str(self[name].label),
                        shown(self.fields[name], yours, MAX_SHOWN),
                        shown(self.fields[name], state[name], MAX_SHOWN),
                        name in taken or left_alone,
                    )
                )
        self.vinyl_conflicts = found
        if is_new:
            self.vinyl_version = now
            self.add_error(None, error)

    form.full_clean = watched_clean


def version_of(form_list: Iterable[Any]) -> str:
    """
    Return what the forms of a page were made from, for its field `VERSION`; empty if
    none of them has an object. Switches to the event loop.
    """
    versions: dict[str, Digests] = {}
    for form in form_list:
        if form.is_bound:
            version = getattr(form, "vinyl_version", None)
        elif form.instance is None or form.instance._state.adding:
            version = None
        else:
            version = _digests(form, _state(form))
        if version:
            versions[form.prefix or ""] = version
    return json.dumps(versions, separators=(",", ":")) if versions else ""


def conflicts_of(form_list: Iterable[Any]) -> list[Conflict]:
    """Return the conflicts of the forms of a page. Never switches."""
    found = (getattr(form, "vinyl_conflicts", ()) for form in form_list)
    return [*chain.from_iterable(found)]


def lock_object(queryset: Any, field: Any, value: Any) -> None:
    """
    Let other transactions that save the same object wait, where the database can and a
    transaction is open. Switches to the event loop.
    """
    connection = transaction.get_connection(queryset.db)
    features = connection.features
    if not (features.has_select_for_update and connection.in_atomic_block):
        return
    try:
        key = field.to_python(value)
    except (ValidationError, ValueError):
        return
    rows = queryset.model._base_manager.using(queryset.db).select_for_update()
    bool(rows.filter(**{field.name: key}))


def locked(queryset: Any) -> Any:
    """
    Return *queryset*, of which other transactions cannot change the rows once they are
    read; as it is where the database cannot or no transaction is open. Never switches.
    """
    connection = transaction.get_connection(queryset.db)
    query = queryset.query
    # What PostgreSQL does not lock.
    derived = (
        query.distinct
        or query.combinator
        or query.group_by is not None
        or any(one.contains_over_clause for one in query.annotations.values())
    )
    can_lock = connection.features.has_select_for_update and connection.in_atomic_block
    if not can_lock or derived or query.is_sliced:
        return queryset
    return queryset.select_for_update(of=("self",))


def rows_of(formset: Any, found: Iterable[Any] | None = None) -> list[Any]:
    """
    Return the objects of a posted *formset*, one for each form, whatever others have
    deleted or added meanwhile. Switches to the event loop.

    Args:
        found: Where to look for them; its queryset by default.
    """
    objects = formset.get_queryset() if found is None else found
    rows = {row.pk: row for row in objects}
    forms = formset.initial_forms
    return [rows.get(form.instance.pk, form.instance) for form in forms]


def watch_rows(formset: Any) -> None:
    """
    Let *formset*, a class made for one request, lock the rows that it saves in the same
    way; and let `vinyl_rows` take the place of its queryset once it has them. Never
    switches.
    """
    get_queryset = formset.get_queryset

    def locking(self: Any) -> Any:
        if hasattr(self, "vinyl_rows"):
            return self.vinyl_rows
        if self.is_bound and not hasattr(self, "_queryset"):
            self._queryset = locked(get_queryset(self))
        return get_queryset(self)

    formset.get_queryset = locking


def refuse_other_rows(formset: Any) -> None:
    """
    Let *formset*, a class made for one request, have errors for rows that are not among
    its objects any more: Django skips what was typed for them. Never switches.
    """
    add_fields = formset.add_fields

    def add_checked(self: Any, form: Any, index: int | None) -> None:
        add_fields(self, form, index)
        key = form.fields.get(self.model._meta.pk.name)
        is_new = index is None or index >= self.initial_form_count()
        if self.is_bound and not is_new and form.instance._state.adding:
            if isinstance(key, ModelChoiceField):
                key.queryset = key.queryset.none()  # type: ignore[union-attr]  # a queryset by now

    formset.add_fields = add_checked


def _posted(request: Any) -> dict[str, Digests] | None:
    text = request.POST.get(VERSION)
    if not text:
        return None
    try:
        versions = json.loads(text)
        if not all(isinstance(one, dict) for one in versions.values()):
            raise TypeError("Not the version of a form.")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadRequest(f"The field {VERSION!r} has been changed.") from error
    posted: dict[str, Digests] = versions
    return posted


def _state(form: Any) -> dict[str, Any]:
    """Return the values of the database of the fields of *form*."""
    opts = form.instance._meta
    values = {}
    for field in chain(opts.concrete_fields, opts.many_to_many, opts.private_fields):
        in_form = form.fields.get(field.name)
        if in_form is None or in_form.disabled or not getattr(field, "editable", False):
            continue
        if field.many_to_many and field.name in form.initial:
            # Fetched already.
            values[field.name] = form.initial[field.name]
        else:
            values[field.name] = field.value_from_object(form.instance)
    return values


def _digests(form: Any, state: dict[str, Any]) -> Digests:
    of_object = _digest_of_object(form)
    return {name: _digest(of_object, name, value) for name, value in state.items()}


def _digest_of_object(form: Any) -> Any:
    """Return a digest of the object of *form*, to be continued for each field."""
    of = f"{form.instance._meta.label}:{form.instance.pk}:"
    return salted_hmac("vinyl.web.admin.conflicts", of, algorithm="sha256")


def _digest(of_object: Any, name: str, value: Any) -> str:
    digest = of_object.copy()
    digest.update(f"{name}:{_normal(value)}".encode())
    text: str = digest.hexdigest()
    return text[:12]


def _normal(value: Any) -> str:
    """Return a text that is the same for the same value of a row or of a form."""
    if value is None or value == "":
        return ""
    if isinstance(value, models.Model):
        return str(value.pk)
    if isinstance(value, models.QuerySet) or _are_objects(value):
        # Of related objects; whatever else is a list has an order.
        return ",".join(sorted(map(_normal, value)))
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value.normalize():f}"
    if isinstance(value, datetime.datetime) and value.tzinfo:
        value = value.astimezone(datetime.UTC)
    return str(value)


def _are_objects(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(
        isinstance(one, models.Model) for one in value
    )
