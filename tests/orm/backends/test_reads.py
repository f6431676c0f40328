"""Which queries only read, judged by what they are made of."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import (
    Aggregate,
    Case,
    CharField,
    Count,
    Exists,
    F,
    FilteredRelation,
    Func,
    Lookup,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Transform,
    Value,
    When,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower, Now, Random, RowNumber
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery
from django.test.utils import register_lookup

from tests.records.models import Album, Artist
from vinyl.orm.backends.reads import is_read


class Volatile(Func):
    function = "nextval"


class VolatileCount(Aggregate):
    function = "count"


class Nearly(Lookup):
    lookup_name = "nearly"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        raise NotImplementedError


class Shout(Transform):
    lookup_name = "shout"
    bilateral = True


albums = Album.objects.all()
later = Album.objects.filter(artist=OuterRef("artist"), year__gt=OuterRef("year"))

READS: dict[str, QuerySet[Any, Any]] = {
    "all": albums,
    "filter": albums.filter(title__icontains="a", year__in=[1, 2], label=None),
    "by relation": albums.filter(artist__biography__text="x", genres__name="y"),
    "exclude": albums.exclude(genres__name="y"),
    "q": albums.filter(Q(year=1) | ~Q(artist__name=F("title"))),
    "order": albums.order_by("artist__name", F("year").desc(nulls_last=True), "?"),
    "functions": albums.annotate(x=Lower("title"), y=Now(), z=Random()),
    "aggregates": Artist.objects.annotate(n=Count("albums", filter=Q(albums__year=1))),
    "of contrib": Artist.objects.annotate(titles=ArrayAgg("albums__title")),
    "case": albums.annotate(x=Case(When(year=1, then=Value("x")), default=F("title"))),
    "window": albums.annotate(x=Window(RowNumber(), partition_by="year")),
    "subquery": albums.annotate(x=Subquery(later.values("title")[:1])),
    "exists": albums.filter(Exists(later)),
    "in a queryset": albums.filter(artist__in=Artist.objects.filter(name="x")),
    "union": albums.union(albums.filter(year=1)),
    "values": albums.values("year").annotate(n=Count("pk")).filter(n__gt=1),
    "filtered relation": Artist.objects.annotate(
        old=FilteredRelation("albums", condition=Q(albums__year__lt=1960))
    ).filter(old__title="x"),
    "related": albums.select_related("artist", "label").only("title", "artist__name"),
}
volatile = Volatile(Value("seq"))
OTHERS: dict[str, QuerySet[Any, Any]] = {
    "locks": albums.select_for_update(),
    "raw sql": albums.annotate(x=RawSQL("nextval('seq')", ())),
    "extra select": albums.extra(select={"x": "nextval('seq')"}),
    "extra where": albums.extra(where=["nextval('seq') > 0"]),
    "extra tables": albums.extra(tables=["records_label"]),
    "a function of others": albums.annotate(x=volatile),
    "nested": albums.annotate(x=Lower(volatile)),
    "filter": albums.filter(year=volatile),
    "filter by a list": albums.filter(year__in=[1, volatile]),
    "filter by a range": albums.filter(year__range=(1, volatile)),
    "order": albums.order_by(volatile),
    "case": albums.annotate(x=Case(When(year=1, then=volatile))),
    "window": albums.annotate(x=Window(RowNumber(), partition_by=volatile)),
    "aggregate of others": Artist.objects.annotate(n=VolatileCount("albums")),
    "named function": albums.annotate(x=Func(Value("seq"), function="nextval")),
    "renamed function": albums.annotate(x=Lower("title", function="nextval")),
    "template": albums.annotate(x=Lower("title", template="nextval('seq')")),
    "subquery": albums.annotate(x=Subquery(later.annotate(x=volatile).values("x"))),
    "exists": albums.filter(Exists(later.filter(year=volatile))),
    "in a queryset": albums.filter(artist__in=Artist.objects.filter(pk=volatile)),
    "union": albums.union(albums.annotate(x=volatile)),
    "filtered relation": Artist.objects.annotate(
        old=FilteredRelation("albums", condition=Q(albums__year=volatile))
    ).filter(old__title="x"),
}


@pytest.mark.parametrize("queryset", READS.values(), ids=READS)
def test_a_read(queryset: Any) -> None:
    assert is_read(queryset.query)


@pytest.mark.parametrize("queryset", OTHERS.values(), ids=OTHERS)
def test_queries_that_may_write(queryset: Any) -> None:
    assert not is_read(queryset.query)


@pytest.mark.parametrize("cls", [InsertQuery, UpdateQuery, DeleteQuery])
def test_a_write(cls: Any) -> None:
    assert not is_read(cls(Album))


def test_a_query_of_another_kind() -> None:
    assert not is_read(Album.objects.raw("SELECT 1").query)
    assert not is_read(None)
    assert not is_read(Album.objects.all().query.chain(_OthersQuery))


class _OthersQuery(type(Album.objects.all().query)):
    """Third-party packages add SQL of their own in such a class."""


def test_lookups_and_transforms_of_others() -> None:
    with register_lookup(CharField, Nearly), register_lookup(CharField, Shout):
        assert not is_read(albums.filter(title__nearly="x").query)
        assert not is_read(albums.filter(title__shout="x").query)


def test_the_ordering_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Artist._meta, "ordering", [volatile])
    assert not is_read(Artist.objects.all().query)
    by_artist = albums.order_by("artist").query
    str(by_artist)
    assert not is_read(by_artist)


def test_a_generic_relation(db: str) -> None:
    assert is_read(albums.filter(tags__word="x").query)


def test_a_join_with_a_condition_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    cls = type(Album._meta.get_field("artist"))
    monkeypatch.setattr(cls, "get_extra_restriction", lambda *args: None)
    assert not is_read(albums.filter(artist__name="x").query)
    assert not is_read(Artist.objects.filter(albums__title="x").query)
    assert is_read(albums.query)
