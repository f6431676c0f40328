"""Violated constraints, in words for the visitor."""

# Fields of a model for one test.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, models
from django.test.utils import isolate_apps

from vinyl.web.admin.violations import reason_for


def violated(text: str, constraint: str | None = None) -> IntegrityError:
    """An error of PostgreSQL with *constraint*, otherwise of SQLite."""
    error = IntegrityError(text)
    if constraint is not None:
        cause: Any = Exception(text)
        cause.diag = SimpleNamespace(constraint_name=constraint)
        error.__cause__ = cause
    return error


@pytest.fixture
def model() -> Any:
    with isolate_apps("tests.records"):

        class Song(models.Model):
            title = models.CharField(max_length=20)
            seconds = models.IntegerField()

            class Meta:
                app_label = "records"
                constraints = [
                    models.CheckConstraint(
                        condition=models.Q(seconds__gt=0),
                        name="song_lasts",
                        violation_error_message="A song takes a while.",
                    ),
                    models.UniqueConstraint(
                        "title", name="song_title", violation_error_message="Known."
                    ),
                ]

            def __str__(self) -> str:
                return self.title

        return Song


SECRET = "Key (title)=(secret) already exists."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (violated(SECRET, "song_lasts"), "A song takes a while."),
        (violated("CHECK constraint failed: song_lasts"), "A song takes a while."),
        (violated(SECRET, "song_title"), "Known."),
        (violated("UNIQUE constraint failed: index 'song_title'"), "Known."),
        (violated(SECRET, "other"), "Constraint “other” is violated."),
        (violated("UNIQUE constraint failed: a.b, a.c"), "The database refuses"),
        (violated(SECRET), "The database refuses"),
        (violated("FOREIGN KEY constraint failed"), "has been changed or deleted"),
        (models.ProtectedError("no", set()), "Other objects refer to this one"),
        (models.RestrictedError("no", set()), "Other objects refer to this one"),
    ],
)
def test_the_constraint_is_named_and_no_value(
    error: Exception, expected: str, model: Any
) -> None:
    reason = reason_for(error, model)
    assert expected in reason
    assert "secret" not in reason
