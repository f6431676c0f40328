"""
Import: what the rows of a table would add and change, checked by the form of the model
and the visitor's permissions, and saved in one transaction.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import (
    FieldDoesNotExist,
    ImproperlyConfigured,
    ValidationError,
)
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    models,
)
from django.db.models.constants import LOOKUP_SEP
from django.utils.html import format_html
from django.utils.translation import gettext

from vinyl.web.admin.cascades import is_own
from vinyl.web.admin.cells import Choice, Choices, cell_field
from vinyl.web.admin.conflicts import locked
from vinyl.web.admin.databases import transaction_of
from vinyl.web.admin.deletion import batches
from vinyl.web.admin.keys import is_key
from vinyl.web.admin.outcome import Row, Tally
from vinyl.web.admin.progress import Progress
from vinyl.web.admin.tables import Table
from vinyl.web.admin.violations import reason_for

__all__ = ["Import", "guessed"]

# Rows whose objects are fetched together, and after which progress is shown.
BATCH = 100


def guessed(table: Table, names: list[str], model: Any) -> list[str]:
    """
    Return the field of *names* that each column of *table* is for, by its name; "" for
    none. Never switches.
    """
    known = {name.lower(): name for name in names}
    for name in names:
        try:
            found = model._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        for other in (found.attname, found.verbose_name):
            known.setdefault(str(other).lower(), name)
    guesses = [known.get(column.lower(), "") for column in table.header]
    return [g if g not in guesses[:i] else "" for i, g in enumerate(guesses)]


class Import:
    """
    A table with the fields that its columns are for.

    Args:
        model_admin: Its permissions, form and `save_model()` apply.
        request: The visitor's.
        table: The rows.
        mapping: The name of a field for each column, "" for those that are left out.

    Raises:
        ValidationError: A field is chosen for two columns, or none at all.
        ImproperlyConfigured: `import_key` is not a unique field.
    """

    def __init__(
        self, model_admin: Any, request: Any, table: Table, mapping: list[str]
    ) -> None:
        self.admin = model_admin
        self.request = request
        self.table = table
        self.model = model_admin.model
        # The index of a column, by the field of the model; with the lookup behind it.
        self.columns: dict[str, int] = {}
        self.lookups: dict[str, str] = {}
        key = model_admin.import_key or self.model._meta.pk.name
        for index, name in enumerate(mapping):
            if not name:
                continue
            own, _, lookup = name.partition(LOOKUP_SEP)
            meta = self.model._meta
            # "artist_id" is the field "artist".
            own = meta.pk.name if own == "pk" else meta.get_field(own).name
            if own in self.columns:
                message = gettext("Two columns are for the field “%(name)s”.")
                raise ValidationError(message % {"name": own})
            self.columns[own] = index
            if lookup:
                self.lookups[own] = lookup
        if not set(self.columns) - {self.model._meta.pk.name}:
            raise ValidationError(gettext("Choose a field for at least one column."))
        self.key = self.model._meta.get_field(key) if key in self.columns else None
        if self.key is not None and not self.key.unique:
            raise ImproperlyConfigured(
                f"{type(model_admin).__name__}.import_key is {key!r}, which several "
                f"objects can share, so it cannot say which one a row changes. Name a "
                f"unique field."
            )
        self.many = [
            one.name
            for one in self.model._meta.many_to_many
            if one.name in self.columns
        ]
        self.form = self._form()
        self.optional = {
            one.name
            for one in self.model._meta.fields
            if one.has_default() or one.has_db_default() or one.null
        }
        self.may_add = model_admin.has_add_permission(request)
        self.lines: dict[Any, int] = {}
        # What the log does not have yet: by whether it is a change, and its message.
        self.logged: dict[tuple[bool, str], list[Any]] = defaultdict(list)
        # Keys of objects that the visitor does not see.
        self.hidden: set[Any] = set()

    def _form(self) -> Any:
        names = [n for n in self.columns if n != self.model._meta.pk.name]
        form = forms.modelform_factory(
            self.model,
            form=type("ImportForm", (_FoundObjects, self.admin.form), {}),
            fields=names,
            formfield_callback=self._form_field,
        )
        # What the form declares is there without a column, too.
        for name in form.base_fields.keys() - {*names}:
            del form.base_fields[name]
        return form

    def _form_field(self, db_field: Any, **kwargs: Any) -> Any:
        lookup = self.lookups.get(db_field.name, "")
        return cell_field(self.admin, self.request, db_field, lookup)

    def rows(self) -> Iterator[Row]:
        """Yield what becomes of each row. Switches to the event loop."""
        self.lines.clear()
        for batch in batches(self.table.rows, BATCH):
            known = self._known([cells for _, cells in batch])
            for name, one in self.form.base_fields.items():
                if isinstance(one, (Choice, Choices)):
                    index = self.columns[name]
                    one.learn(cells[index] for _, cells in batch if index < len(cells))
            for line, cells in batch:
                yield self._row(line, cells, known)

    def _known(self, rows: list[list[str]]) -> dict[Any, Any]:
        """The objects of *rows* by their key, of those that the visitor sees."""
        if self.key is None:
            return {}
        keys = []
        for cells in rows:
            try:
                keys.append(self._key_of(cells))
            except ValidationError:
                continue
        wanted = [key for key in keys if key is not None]
        found = self.admin.get_queryset(self.request)
        found = found.filter((f"{self.key.name}__in", wanted))
        # Those that are compared with the cells.
        found = found.prefetch_related(*{*self.many, *self.lookups})
        known = {getattr(obj, self.key.attname): obj for obj in locked(found)}
        if self.key.primary_key:
            # save() would write a new object with such a key over the one that has it.
            same: Any = self.model._base_manager.using(found.db).filter(pk__in=wanted)
            self.hidden = {*same.values_list("pk", flat=True)} - known.keys()
        return known

    def _key_of(self, cells: list[str]) -> Any:
        assert self.key is not None
        index = self.columns[self.key.name]
        text = cells[index].strip() if index < len(cells) else ""
        if not text:
            return None
        value = self.key.to_python(text)
        self.key.run_validators(value)
        if not is_key(self.key, text):
            raise ValidationError(gettext("There is no object with this key."))
        return value

    def _row(self, line: int, cells: list[str], known: dict[Any, Any]) -> Row:
        if len(cells) != len(self.table.header):
            message = gettext("The row has %(count)d cells, the header has %(wanted)d.")
            count = {"count": len(cells), "wanted": len(self.table.header)}
            return Row(line, "error", errors=[("", message % count)])
        try:
            obj, key = self._object_of(line, cells, known)
        except ValidationError as error:
            name = self._column(self.key.name) if self.key else ""
            return Row(line, "error", errors=[(name, m) for m in error.messages])
        change = obj is not None
        if change and not self.admin.has_change_permission(self.request, obj):
            text = gettext("You may not change this object.")
            return Row(line, "error", errors=[("", text)])
        if not change and not self.may_add:
            text = gettext("You may not add objects.")
            return Row(line, "error", errors=[("", text)])
        obj = obj or (self.model() if key is None else self.model(**key))
        return self._checked(line, cells, obj, change=change)

    def _object_of(
        self, line: int, cells: list[str], known: dict[Any, Any]
    ) -> tuple[Any, Any]:
        """The object to change, or None; and what a new one has to begin with."""
        if self.key is None or (key := self._key_of(cells)) is None:
            return None, None
        if (before := self.lines.setdefault(key, line)) != line:
            message = gettext("Line %(line)d has the same key.")
            raise ValidationError(message % {"line": before})
        if (obj := known.get(key)) is not None:
            return obj, None
        relation: Any = self.key.remote_field
        # A parent link would write over the object of the parent model.
        if isinstance(self.key, models.AutoField) or (
            relation is not None and relation.parent_link
        ):
            raise ValidationError(gettext("There is no object with this key."))
        if key in self.hidden:
            raise ValidationError(gettext("You may not change this object."))
        return None, {self.key.attname: key}

    def _checked(self, line: int, cells: list[str], obj: Any, *, change: bool) -> Row:
        names = [*self.form.base_fields]
        before = {name: self._values(name, obj) for name in names} if change else {}
        data = {name: cells[self.columns[name]] for name in names}
        # What a cell names is compared with the object.
        lookups = self.lookups.keys() - {*self.many}
        related = {name: getattr(obj, name) for name in lookups if change}
        form = self.form(data, instance=obj, initial=related)
        errors = [
            (self._column(name), message)
            for name, messages in form.errors.items()
            for message in messages
        ]
        if not change and not errors:
            # The form leaves out the fields that it does not have. Without a value of
            # their own they would be saved empty.
            try:
                form.instance.clean_fields(exclude={*form.fields, *self.optional})
            except ValidationError as error:
                errors = [
                    (name, message)
                    for name, messages in error.message_dict.items()
                    for message in messages
                ]
        if errors:
            return Row(line, "error", form, errors=errors)
        changes = []
        for name in names:
            old, old_text = before.get(name, (None, None))
            new, text = self._values(name, form.instance, form)
            if not change or new != old:
                changes.append((name, old_text, text))
        kind = "add" if not change else "change" if changes else "same"
        return Row(line, kind, form, changes)

    def _values(self, name: str, obj: Any, form: Any = None) -> tuple[Any, Any]:
        """A value as it is compared, and as the preview shows it."""
        if name in self.many:
            many = getattr(obj, name).all() if form is None else form.cleaned_data[name]
            return {one.pk for one in many}, ", ".join(sorted(map(str, many)))
        value = self.model._meta.get_field(name).value_from_object(obj)
        if name not in self.lookups:
            return value, str(value) if isinstance(value, models.Model) else value
        # By what the cells have of it.
        shown = getattr(obj, name)
        for part in self.lookups[name].split(LOOKUP_SEP):
            shown = getattr(shown, part, None)
        return value, shown

    def _column(self, name: str) -> str:
        index = self.columns.get(name)
        return "" if index is None else self.table.header[index] or name

    def check(self, tally: Tally) -> Iterator[Progress]:
        """
        Count what all rows would do in *tally*, without saving any; yield the progress.
        Switches to the event loop.
        """
        for row in self.rows():
            tally.count(row)
            if tally.rows % BATCH == 0:
                yield Progress(tally.rows, len(self.table.rows))

    def save(self, expected: str) -> Iterator[Any]:
        """
        Save all rows in one transaction, and yield the progress. The last text says
        what has been done: nothing if a row has an error, or if they do something else
        than *expected*, a digest. Switches to the event loop.
        """
        tally = Tally()
        try:
            with transaction_of(self.admin.get_queryset(self.request)):
                for row in self.rows():
                    if row.kind == "error":
                        raise _Refused(_told(row))
                    if row.kind != "same":
                        self._save(row, change=row.kind == "change")
                    tally.count(row)
                    if tally.rows % BATCH == 0:
                        self._log()
                        yield Progress(tally.rows, len(self.table.rows))
                self._log()
                if tally.digest != expected:
                    raise _Refused(gettext("the data has changed since the preview"))
        except _Refused as error:
            yield _note("error", gettext("Nothing was imported: %s.") % error)
        except (IntegrityError, DataError) as error:
            # Of a constraint that is checked when the transaction ends.
            reason = reason_for(error, self.model).rstrip(".")
            yield _note("error", gettext("Nothing was imported: %s.") % reason)
        except DatabaseError:
            # Its text shows values of other rows.
            text = gettext(
                "Nothing was imported: the database is busy or cannot be reached. Try "
                "again."
            )
            yield _note("error", text)
        else:
            text = gettext("%(added)d added, %(changed)d changed, %(same)d unchanged.")
            yield _note("success", text % tally.counts)

    def _save(self, row: Row, *, change: bool) -> None:
        admin, request, form = self.admin, self.request, row.form
        try:
            obj = admin.save_form(request, form, change=change)
            admin.save_model(request, obj, form, change=change)
            admin.save_related(request, form, [], change=change)
        except (IntegrityError, DataError) as error:
            # Somebody else was faster, or it is a rule that only the database knows.
            row.errors = [("", reason_for(error, self.model))]
            raise _Refused(_told(row)) from error
        message = admin.construct_change_message(request, form, None, not change)
        name = "log_change" if change else "log_addition"
        if is_own(admin, name):
            text = message if isinstance(message, str) else json.dumps(message)
            self.logged[change, text].append(obj)
        else:
            getattr(admin, name)(request, obj, message)

    def _log(self) -> None:
        """Write the log of the rows since the last time: one query for all added."""
        # Not before the apps are ready.
        from django.contrib.admin.models import ADDITION, CHANGE, LogEntry

        for (change, message), objs in self.logged.items():
            LogEntry.objects.log_actions(
                user_id=self.request.user.pk,
                queryset=objs,
                action_flag=CHANGE if change else ADDITION,
                change_message=message,
            )
        self.logged.clear()


class _FoundObjects(forms.ModelForm):  # type: ignore[type-arg]  # not generic at runtime
    """A form whose foreign keys are not looked up once more for each row."""

    def _post_clean(self) -> None:
        found = {
            name
            for name, field in self.fields.items()
            if isinstance(field, Choice) and self.cleaned_data.get(name) is not None
            if _looks_up_only(self.instance._meta.get_field(name))
        }
        clean_fields = self.instance.clean_fields

        def clean_others(exclude: Any = None) -> None:
            clean_fields(exclude={*(exclude or ()), *found})

        # Constraints see these fields: not by what the form excludes.
        vars(self.instance)["clean_fields"] = clean_others
        try:
            super()._post_clean()  # type: ignore[misc]  # Django's own hook
        finally:
            del vars(self.instance)["clean_fields"]


def _looks_up_only(field: Any) -> bool:
    """Whether checking *field* finds out no more than that its object exists."""
    is_djangos = type(field).validate is models.ForeignKey.validate
    return is_djangos and not field.validators


class _Refused(Exception):
    pass


def _told(row: Row) -> str:
    column, message = row.errors[0]
    where = f"{column}: " if column else ""
    return gettext("line %(line)d, %(error)s") % {
        "line": row.line,
        "error": f"{where}{message}".rstrip("."),
    }


def _note(kind: str, text: str) -> str:
    return format_html('<strong class="note {}">{}</strong>', kind, text)
