"""Constraints of the database that were violated, in words for the visitor."""

from __future__ import annotations

import re
from typing import Any

from django.db import models
from django.utils.translation import gettext

__all__ = ["reason_for"]

# What SQLite says instead of the name of the constraint.
SQLITE = re.compile(r"^(?:UNIQUE|CHECK) constraint failed: (?:index )?'?(\w+)'?$")


def reason_for(error: Exception, model: Any) -> str:
    """
    Return what a page says about *error*, an IntegrityError or ProtectedError: the
    message of the constraint if *model* declares it, and never values of other rows.
    Never switches.
    """
    if isinstance(error, (models.ProtectedError, models.RestrictedError)):
        return gettext("Other objects refer to this one; it was not deleted.")
    name = _constraint(error)
    for constraint in model._meta.total_unique_constraints:
        if constraint.name == name:
            return str(constraint.get_violation_error_message())
    for constraint in model._meta.constraints:
        if constraint.name == name:
            return str(constraint.get_violation_error_message())
    if "FOREIGN KEY" in str(error).upper():
        return gettext(
            "An object that this one refers to, or the other way round, has "
            "been changed or deleted meanwhile."
        )
    if name:
        return gettext("Constraint “%(name)s” is violated.") % {"name": name}
    return gettext("The database refuses these values: one of them may be taken.")


def _constraint(error: Exception) -> str:
    diagnostics = getattr(error.__cause__, "diag", None)
    if diagnostics is not None:
        return diagnostics.constraint_name or ""
    match = SQLITE.match(str(error))
    return match[1] if match else ""
