"""The parameters of a lookup from another value: those that Django makes of it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import IntegerField
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In

from tests.records.models import Album, Artist, Biography
from vinyl.orm.plans.binders import Binder, binder_for, is_known
from vinyl.orm.plans.shapes import Kept
from vinyl.orm.plans.values import Unplannable

pytestmark = pytest.mark.usefixtures("db")


def lookup_of(**kwargs: Any) -> tuple[Any, Any]:
    """Django's lookup for a filter of Album, and what its `process_rhs()` gives."""
    query = Album.objects.filter(**kwargs).query
    [lookup] = query.where.children
    compiler = query.get_compiler("default")
    return lookup, lookup.process_rhs(compiler, connection)


def binder_of(**kwargs: Any) -> Binder:
    lookup, (sql, _) = lookup_of(**kwargs)
    [given] = kwargs.values()
    return binder_for(lookup, sql, given, connection)


def bound(binder: Binder, value: Any) -> list[Any]:
    def compiler() -> Any:
        return Album.objects.all().query.get_compiler("default")

    return list(binder.bound(binder.kept(value), compiler, connection))


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("year", 1965, 1966),
        ("year__gte", 1965, -1),
        ("title", "x", "y"),
        ("title__contains", "x", "50%_"),
        ("title__startswith", "x", "y"),
        ("title__in", ["a", "b"], ["c", "d"]),
        ("year__in", [1, 2], [3, 4]),
        ("released", datetime.date(1965, 10, 1), datetime.date(1966, 1, 1)),
        ("released", "1965-10-01", "1966-01-01"),
        ("year", "1965", "1966"),
        ("artist", 1, 2),
        ("artist_id", 1, 2),
        ("artist", "1", "2"),
        ("artist__biography", 1, 2),
        ("artist", Artist(pk=1), Artist(pk=2)),
        ("artist__in", [Artist(pk=1), Artist(pk=2)], [Artist(pk=3), Artist(pk=4)]),
        ("artist__biography", Biography(pk=1), Biography(pk=2)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_gives_what_django_gives(name: str, first: Any, second: Any) -> None:
    binder = binder_of(**{name: first})
    for value in (first, second):
        _, (_, params) = lookup_of(**{name: value})
        assert bound(binder, value) == list(params)


class TestIntegers:
    @pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
    @pytest.mark.parametrize("name", ["year", "artist", "artist_id"])
    def test_beyond_the_field_are_another_query(self, value: int, name: str) -> None:
        with pytest.raises(Unplannable):
            bound(binder_of(**{name: 1}), value)

    @pytest.mark.parametrize("name", ["year", "artist", "artist_id"])
    def test_need_no_lookup(self, name: str) -> None:
        binder = binder_of(**{name: 1965})
        assert binder.kept(1966) == 1966
        assert not binder.prepares


class TestValuesThatAreKept:
    def test_are_prepared_where_django_would_refuse_them(self) -> None:
        binder = binder_of(released="1965-10-01")
        with pytest.raises(ValidationError, match="YYYY-MM-DD"):
            binder.kept("nonsense")

    def test_of_an_instance_are_its_key_of_the_moment(self) -> None:
        artist = Artist(pk=1)
        kept = binder_of(artist=artist).kept(artist)
        artist.pk = 2
        assert isinstance(kept, Kept)
        assert kept.given == 1


class TestInstances:
    def test_need_no_lookup(self) -> None:
        kept = binder_of(artist=Artist(pk=1)).kept(Artist(pk=2))
        assert kept == Kept(2, None)

    def test_with_a_key_of_another_type_are_prepared(self) -> None:
        binder = binder_of(artist=Artist(pk=1))
        assert binder.kept(Artist(pk="2")) == Kept(2, None)
        assert bound(binder, Artist(pk="2")) == [2]

    def test_without_a_key_are_refused(self) -> None:
        with pytest.raises(ValueError, match="must be saved"):
            binder_of(artist=Artist(pk=1)).kept(Artist())

    @pytest.mark.parametrize("key", [2**63, -(2**63) - 1, True])
    def test_with_a_key_beyond_the_field_are_another_query(self, key: int) -> None:
        binder = binder_of(artist=Artist(pk=1))
        if key is True:
            # Django takes it for 1.
            assert bound(binder, Artist(pk=key)) == [1]
        else:
            with pytest.raises(Unplannable):
                bound(binder, Artist(pk=key))


def test_a_value_that_makes_another_query_has_no_parameters() -> None:
    binder = binder_of(year__in=[1, 2])
    # The same number of them, and one that Django leaves out.
    with pytest.raises(Unplannable):
        bound(binder, [3, 3])


def test_an_empty_text_makes_another_query_where_it_is_null(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Django has only one for Oracle.
    features = connection.features
    monkeypatch.setattr(features, "interprets_empty_strings_as_nulls", True)
    binder = binder_of(title="x")
    assert bound(binder, "y") == ["y"]
    with pytest.raises(Unplannable):
        binder.kept("")


def test_elements_for_a_generated_field_are_those_of_its_output_field() -> None:
    # Which belongs to no model, in Django's columns of such fields.
    year: Any = Album._meta.get_field("year")
    column: Any = Col("album", year, IntegerField())
    binder = binder_for(In(column, [1, 2]), "(%s, %s)", [1, 2], connection)
    assert bound(binder, [3, 4]) == [3, 4]


@pytest.mark.parametrize(
    ("other", "is_like"),
    [
        (lambda: binder_of(year=1966), True),
        (lambda: binder_of(year__gt=1965), False),
        (lambda: binder_of(year="1965"), False),
        (lambda: binder_of(artist=1), False),
    ],
    ids=["another value", "another lookup", "another kind", "another field"],
)
def test_whether_it_is_like_another(other: Any, is_like: bool) -> None:
    assert binder_of(year=1965).is_like(other()) == is_like


def test_lookups_of_others_are_unknown() -> None:
    class Own(Exact):
        lookup_name = "own"

    assert not is_known(Own)
    assert is_known(Exact)
