"""System checks for the columns of exports and imports."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db.models.constants import LOOKUP_SEP

from vinyl.web.admin.cells import refusal

__all__ = ["check_columns"]


def check_columns(model_admin: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E146: `import_fields` or `import_key` names what an import cannot fill.
    vinyl.E147: `export_fields` names what rows do not have. Never switches.
    """
    return [*_check_import(model_admin), *_check_export(model_admin)]


def _check_import(model_admin: Any) -> list[checks.CheckMessage]:
    model = model_admin.model
    reasons = {name: refusal(model, name) for name in model_admin.import_fields}
    found: list[checks.CheckMessage] = [
        _error(
            model_admin,
            f"'import_fields' contains {name!r}, which an import cannot fill: "
            f"{reason}.",
            "Leave it out, or name an editable field, or one of a related object such "
            "as 'artist__name'.",
            "vinyl.E146",
        )
        for name, reason in reasons.items()
        if reason
    ]
    key = model_admin.import_key
    if key is not None and key not in {f.name for f in model._meta.fields if f.unique}:
        found.append(
            _error(
                model_admin,
                f"'import_key' is {key!r}, which is not a unique field of the model, "
                f"so it cannot say which object a row changes.",
                "Name a unique field, or None for the primary key.",
                "vinyl.E146",
            )
        )
    return found


def _check_export(model_admin: Any) -> list[checks.CheckMessage]:
    return [
        _error(
            model_admin,
            f"'export_fields' contains {name!r}, which is neither an attribute of the "
            f"model or the ModelAdmin nor a field of a related object.",
            "Correct the name.",
            "vinyl.E147",
        )
        for name in model_admin.export_fields or ()
        if not _is_column(model_admin, name)
    ]


def _is_column(model_admin: Any, name: Any) -> bool:
    model = model_admin.model
    if callable(name) or hasattr(model_admin, name) or hasattr(model, name):
        return True
    *path, last = name.split(LOOKUP_SEP)
    try:
        for part in path:
            field = model._meta.get_field(part)
            if not (field.many_to_one or field.one_to_one) or not field.related_model:
                return False
            model = field.related_model
        return hasattr(model, last) or bool(model._meta.get_field(last))
    except FieldDoesNotExist:
        # A field is not always an attribute of its class.
        return False


def _error(model_admin: Any, text: str, hint: str, number: str) -> checks.Error:
    where = type(model_admin)
    return checks.Error(f"The value of {text}", hint=hint, obj=where, id=number)
