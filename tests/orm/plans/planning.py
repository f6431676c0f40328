"""What tests of plans query, and how they compare it with what Django does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.records.models import Album, Artist, Biography, Track
from vinyl.orm.plans import shapes, trails
from vinyl.orm.plans.execution import Write


def catalogue() -> Album:
    artist = Artist.objects.create(name="Nina Simone")
    Biography.objects.create(artist=artist, text="Born in Tryon.")
    for number in range(3):
        album = Album.objects.create(
            title=f"Album {number}", artist=artist, year=number
        )
        for position in range(2):
            Track.objects.create(title=f"{position}", album=album, position=position)
    return album


def uses_of(cls: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each statement whose parameters `bound()` of *cls* gives."""
    found: list[str] = []
    bound = cls.bound

    def noted(self: Any, *args: Any) -> Any:
        result = bound(self, *args)
        if result is not None:
            found.append((result if isinstance(result, Write) else self).sql)
        return result

    monkeypatch.setattr(cls, "bound", noted)
    return found


def queries_of(make: Callable[[], Any]) -> tuple[Any, list[str]]:
    with CaptureQueriesContext(connection) as queries:
        result = make()
    return result, texts_of(queries)


def texts_of(queries: CaptureQueriesContext) -> list[str]:
    """The SQL of *queries*, in which each server-side cursor has the same name."""
    # None if psycopg refuses the number of values, before there is a text.
    texts = [one["sql"] or "" for one in queries]
    return [re.sub('_django_curs_[^"]+', "cursor", text) for text in texts]


def thrice(make: Callable[[], Any], used: list[str], *, planned: bool = True) -> Any:
    """The result of *make*, which has to be the same with a plan and without."""
    first = queries_of(make)
    assert queries_of(make) == first
    used.clear()
    assert queries_of(make) == first
    assert bool(used) == planned
    return first[0]


def outcome_of(make: Callable[[], Any]) -> Any:
    """What *make* gives, or the class and message of its error, and its queries."""
    result: Any
    with transaction.atomic():

        def attempt() -> Any:
            try:
                with transaction.atomic():
                    return make()
            except Exception as error:
                return type(error), str(error).partition("\n")[0]

        result, queries = queries_of(attempt)
        transaction.set_rollback(True)
    # Savepoints have numbers that differ.
    return result, [one for one in queries if "SAVEPOINT" not in one]


def written(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Any],
    used: list[str],
    *,
    planned: bool = True,
) -> Any:
    """
    The result of *make*, which writes: the same without plans, while a plan is made,
    and by the plan.
    """
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = outcome_of(make)
    # Making the rows may have made plans.
    shapes.forget()
    for _ in range(3):
        used.clear()
        assert outcome_of(make) == expected
    assert bool(used) == planned
    return expected[0]
