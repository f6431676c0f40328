"""Chains of querysets that hypothesis makes up."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import models as django_models
from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Concat, Lower, RowNumber
from hypothesis import strategies as st

from tests.records.models import (
    Album,
    Artist,
    Biography,
    Booklet,
    Genre,
    Label,
    Track,
)
from vinyl.orm import models

# The number of examples of each property test.
EXAMPLES = int(os.environ.get("VINYL_FUZZ_EXAMPLES", 60))
Q = models.Q

INTEGERS = st.one_of(
    st.integers(-1, 5), st.sampled_from([1964, 1965, 2**31, 2**63, -(2**63) - 1, True])
)
TEXTS = st.sampled_from(["", "a", "A", "Blues 1", "b%", "b_", "\\", "é", None])
DATES = st.sampled_from(
    [datetime.date(1965, 10, 1), datetime.date(2000, 2, 29), "1965-10-01", "nonsense"]
)
FILES = st.sampled_from(["", "a.png", "b%", None])
KEYS = st.one_of(st.integers(1, 4), st.none())
LISTS = st.lists(st.one_of(st.integers(0, 4)), max_size=4)

# A model, and what may be asked of it: the name of a lookup, and its values.
LOOKUPS: dict[type[models.Model], list[tuple[str, Any]]] = {
    Album: [
        ("year", INTEGERS),
        ("year__gte", INTEGERS),
        ("year__lt", st.one_of(INTEGERS, st.floats(0, 2000))),
        ("year__range", st.one_of(st.tuples(INTEGERS, INTEGERS), LISTS)),
        ("title", TEXTS),
        ("title__icontains", TEXTS),
        ("title__startswith", TEXTS),
        ("title__iexact", TEXTS),
        ("released", DATES),
        ("released__lte", DATES),
        ("released__year", st.integers(1960, 1970)),
        ("released__year__gte", st.one_of(st.integers(0, 1970), st.just("1965"))),
        ("released__iso_year__lt", st.integers(1960, 1970)),
        ("released__month", st.integers(0, 13)),
        ("pk", INTEGERS),
        ("pk__in", LISTS),
        ("title__in", st.lists(TEXTS, max_size=3)),
        ("artist", KEYS),
        ("artist_id", KEYS),
        ("artist__name", TEXTS),
        ("artist__name__gt", TEXTS),
        ("artist__in", LISTS),
        ("label", KEYS),
        ("label__isnull", st.booleans()),
        ("label__name", TEXTS),
        ("genres", KEYS),
        ("genres__name", TEXTS),
        ("tracks__title", TEXTS),
        ("tracks__position__gt", INTEGERS),
    ],
    Artist: [
        ("name", TEXTS),
        ("pk", INTEGERS),
        ("albums__year", INTEGERS),
        ("albums", KEYS),
        ("albums__tracks__title", TEXTS),
        ("biography", KEYS),
        ("biography__isnull", st.booleans()),
    ],
    Track: [
        ("position", INTEGERS),
        ("album__artist__name", TEXTS),
        ("album__label", KEYS),
        ("title", TEXTS),
    ],
    Booklet: [
        ("scan", FILES),
        ("scan__gt", FILES),
        ("scan__in", st.lists(FILES, max_size=2)),
        ("scan__isnull", st.booleans()),
        ("album__title", TEXTS),
    ],
}
NAMES = {
    Album: ["title", "-year", "pk", "artist__name", "label", "?nonsense"],
    Artist: ["name", "-pk", "biography__text"],
    Track: ["position", "-album__title", "title"],
    Booklet: ["scan", "-pk", "album__title"],
}
COLUMNS = {
    Album: ["title", "year", "artist", "artist__name", "label__name"],
    Artist: ["name", "id", "biography__text"],
    Track: ["title", "album__title", "position"],
    Booklet: ["scan", "album", "album__title"],
}
RELATIONS = {
    Album: ["artist", "label", "artist__biography"],
    Artist: ["biography"],
    Track: ["album", "album__artist", "album__label"],
    Booklet: ["album", "album__artist"],
}

# What a queryset may start from: the manager of all objects, or of a relation.
STARTS: dict[type[models.Model], list[Callable[[], Any]]] = {
    Album: [
        lambda: Album.objects,
        lambda: Artist.objects.get(name="a1").albums,
        lambda: Genre.objects.get(name="a").albums,
    ],
    Artist: [lambda: Artist.objects],
    Track: [
        lambda: Track.objects,
        lambda: Album.objects.filter(title="Blues 3").first().tracks,
    ],
    Booklet: [lambda: Booklet.objects],
}
PREFETCHES: dict[type[models.Model], list[Any]] = {
    Album: [
        "tracks",
        "genres",
        "artist",
        "artist__biography",
        lambda: Prefetch("tracks", Track.objects.filter(position__gt=0)),
        lambda: Prefetch("tracks", Track.objects.filter(album__genres__name="a")),
        lambda: Prefetch("genres", Genre.objects.filter(albums__year=1965)),
        lambda: Prefetch("genres", Genre.objects.all()[:1], to_attr="some"),
        "label",
        "label__albums__tracks",
        "genres__albums__artist",
        "nonsense",
        lambda: Prefetch("artist", Artist.objects.filter(name__gt="a1")),
        lambda: Prefetch("artist", Artist.objects.only("name"), to_attr="by"),
        lambda: Prefetch("tracks", Track.objects.defer("album").order_by("-pk")),
        lambda: Prefetch("tracks", Track.objects.select_related("album"), "songs"),
        lambda: Prefetch("tracks", Track.objects.prefetch_related("album__label")),
        lambda: Prefetch("tracks", Track.objects.all()[:1]),
        lambda: Prefetch("tracks", to_attr="title"),
    ],
    Artist: [
        "albums",
        "albums__genres",
        "biography",
        "biography__artist",
        lambda: Prefetch("albums", Album.objects.prefetch_related("artist", "tracks")),
        lambda: Prefetch("biography", Biography.objects.order_by("text"), "life"),
        lambda: Prefetch("biography", Biography.objects.filter(pk__lt=2)),
    ],
    Track: [
        "album",
        "album__tracks",
        "album__artist__biography",
        lambda: Prefetch("album", Album.objects.select_related("label")),
        lambda: Prefetch("album__genres", Genre.objects.defer("name")),
    ],
    Booklet: ["album", "album__tracks"],
}
# Which relations of an instance are touched, since they are fetched as the query says.
TOUCHED: dict[type[models.Model], Callable[[Any], Any]] = {
    Album: lambda album: [album.artist, list(album.tracks.all()), album.year],
    Artist: lambda artist: [artist.name, list(artist.albums.all())],
    Track: lambda track: [track.album.artist, track.position],
    # The file, and its name as the instance keeps it afterwards.
    Booklet: lambda booklet: [booklet.scan, bool(booklet.scan), booklet.album.title],
}
# Annotations and aggregates. Some have no plan.
EXPRESSIONS: dict[type[models.Model], list[Any]] = {
    Album: [
        Count("tracks"),
        Count("genres", distinct=True),
        Count("tracks", filter=Q(tracks__position__gt=0)),
        Sum("tracks__position"),
        Avg("year"),
        Max("tracks__title"),
        Min("released"),
        F("year") + 1,
        F("artist__name"),
        F("released__year"),
        Value("x"),
        Value(None, output_field=django_models.IntegerField()),
        Lower("title"),
        Concat("title", Value(" % "), "artist__name"),
        Coalesce("label__name", Value("none")),
        Case(When(year=1965, then=Value(1)), default=Value(0)),
        Window(RowNumber(), order_by="year"),
        Exists(Track.objects.filter(album=OuterRef("pk"))),
        # Later uses of a subquery whose query Django has read.
        ~Exists(Track.objects.filter(album=OuterRef("pk"), position=1)),
    ],
    Artist: [Count("albums"), Max("albums__year"), Lower("name"), F("pk") * 2],
    Track: [Count("album__genres"), Avg("position"), F("position") - F("pk")],
    Booklet: [Count("scan"), Max("scan"), Lower("scan"), F("scan")],
}
CONDITIONS: dict[type[models.Model], list[Any]] = {
    Album: [
        {"year__gt": F("artist_id")},
        {"title": F("artist__name")},
        {"year": F("released__year")},
        {"title": Concat(Value("Blues "), "artist__pk", output_field=TextField())},
    ],
    Artist: [{"name__gt": Lower("name")}],
    Track: [{"position__lt": F("album__year") - 1964}],
    Booklet: [{"scan": F("album__notes")}],
}
ORDERINGS: list[Any] = [F("pk").desc(), Lower("title").asc(nulls_last=True), "pk"]
FETCH_MODES = [
    getattr(django_models, name) for name in django_models.__all__ if "FETCH_" in name
]

# By the model of an inner queryset and that of the outer one: lookups of the key of the
# outer one.
OUTER: dict[tuple[type[models.Model], type[models.Model]], list[str]] = {
    (Album, Album): ["pk", "artist__albums"],
    (Album, Artist): ["artist", "artist__pk"],
    (Album, Track): ["tracks"],
    (Artist, Album): ["albums", "pk"],
    (Artist, Artist): ["pk__lt"],
    (Artist, Track): ["albums__tracks", "pk"],
    (Track, Album): ["album", "album__pk"],
    (Track, Artist): ["album__artist"],
    (Track, Track): ["pk__gte"],
    (Album, Booklet): ["pk"],
    (Artist, Booklet): ["albums"],
    (Track, Booklet): ["album"],
    (Booklet, Album): ["album"],
    (Booklet, Artist): ["album__artist"],
    (Booklet, Track): ["album__tracks", "pk"],
    (Booklet, Booklet): ["pk__gte"],
}
# What makes a subquery of a queryset. The first two are conditions.
INSIDE: list[Callable[[Any], Any]] = [
    Exists,
    lambda found: ~Exists(found),
    lambda found: Subquery(found.values("pk")[:1]),
    lambda found: Coalesce(Subquery(found.order_by("pk").values("pk")[:1]), Value(0)),
    lambda found: Subquery(
        found.order_by().values(n=Value(1)).annotate(m=Count("pk")).values("m")
    ),
    lambda found: Case(When(Exists(found), then=Value(1)), default=Value(0)),
]

Step = tuple[str, tuple[Any, ...], dict[str, Any]]


class Chain(NamedTuple):
    model: type[models.Model]
    start: Callable[[], Any]
    steps: list[Step]
    terminal: str
    args: tuple[Any, ...]


class Inside(NamedTuple):
    """A queryset in a step: a value of a filter, or what *make* makes of it."""

    chain: Chain
    values: tuple[str, ...]
    make: Callable[[Any], Any] | None = None

    def __call__(self) -> Any:
        queryset = taken(self.chain)
        if self.values:
            queryset = queryset.values(*self.values)
        return queryset if self.make is None else self.make(queryset)


@st.composite
def inner_chains(draw: st.DrawFn, outer: type[models.Model] | None = None) -> Chain:
    """Chains for the inside of others, which may refer to the model *outer*."""
    model = draw(st.sampled_from(list(LOOKUPS)))
    steps: list[Step] = []
    if outer is not None:
        to_outer = draw(st.sampled_from(OUTER[model, outer]))
        steps.append(("filter", (), {to_outer: OuterRef("pk")}))
    for _ in range(draw(st.integers(0, 2))):
        name, values = draw(st.sampled_from(LOOKUPS[model]))
        method = draw(st.sampled_from(["filter", "filter", "exclude"]))
        steps.append((method, (), {name: draw(values)}))
    more: list[Step] = [
        ("order_by", ("-pk",), {}),
        ("distinct", (), {}),
        ("__getitem__", (slice(0, 2),), {}),
        ("annotate", (), {"x": Value(3)}),
        ("using", ("default",), {}),
    ]
    steps += draw(st.lists(st.sampled_from(more), max_size=1))
    return Chain(model, draw(st.sampled_from(STARTS[model])), steps, "", ())


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    model = draw(st.sampled_from(list(LOOKUPS)))
    steps: list[Step] = []
    for _ in range(draw(st.integers(0, 4))):
        method = draw(
            st.sampled_from(
                "filter exclude filter filter_q order_by reverse distinct only defer "
                "select_related prefetch_related values values_list flat slice all "
                "using annotate annotate alias filter_n by_n expressions condition "
                "by_expression inside inside exists subquery".split()
                + ["fetch_mode"] * bool(FETCH_MODES)
            )
        )
        if method in ("filter", "exclude"):
            asked = draw(
                st.lists(st.sampled_from(LOOKUPS[model]), min_size=1, max_size=2)
            )
            steps.append((method, (), {name: draw(values) for name, values in asked}))
        elif method == "filter_q":
            (first, ones), (second, others) = draw(
                st.tuples(*[st.sampled_from(LOOKUPS[model])] * 2)
            )
            q = Q((first, draw(ones))), Q(**{second: draw(others)})
            joined = q[0] | q[1] if draw(st.booleans()) else ~q[0] & q[1]
            steps.append(("filter", (joined,), {}))
        elif method == "order_by":
            names = draw(st.lists(st.sampled_from(NAMES[model]), max_size=2))
            steps.append((method, tuple(names), {}))
        elif method in ("only", "defer", "values", "values_list"):
            names = draw(
                st.lists(st.sampled_from(COLUMNS[model]), max_size=2, unique=True)
            )
            steps.append((method, tuple(names), {}))
        elif method == "flat":
            name = draw(st.sampled_from(COLUMNS[model]))
            steps.append(("values_list", (name,), {"flat": True}))
        elif method == "select_related":
            names = draw(st.lists(st.sampled_from(RELATIONS[model]), max_size=2))
            steps.append((method, tuple(names), {}))
        elif method == "prefetch_related":
            steps.append((method, (draw(st.sampled_from(PREFETCHES[model])),), {}))
        elif method in ("annotate", "alias"):
            one = draw(st.sampled_from(EXPRESSIONS[model]))
            name = draw(st.sampled_from("nm"))
            steps.append((method, (), {name: one}))
        elif method == "filter_n":
            name = draw(st.sampled_from(["n", "n__gt", "m", "m__lt"]))
            steps.append(("filter", (), {name: draw(INTEGERS)}))
        elif method == "by_n":
            steps.append(("order_by", (draw(st.sampled_from(["n", "-m", "pk"])),), {}))
        elif method == "by_expression":
            steps.append(("order_by", (draw(st.sampled_from(ORDERINGS)), "pk"), {}))
        elif method == "expressions":
            name = draw(st.sampled_from(["values", "values_list"]))
            one = draw(st.sampled_from([*EXPRESSIONS[model], "n"]))
            fields = draw(st.lists(st.sampled_from(COLUMNS[model]), max_size=1))
            steps.append((name, (*fields, one), {}))
        elif method == "condition":
            steps.append(("filter", (), draw(st.sampled_from(CONDITIONS[model]))))
        elif method == "inside":
            name = draw(st.sampled_from(["pk__in", "artist__in", "pk", "album__in"]))
            values = draw(st.sampled_from([(), ("pk",), ("pk", "pk"), ("artist",)]))
            negated = draw(st.sampled_from(["filter", "exclude"]))
            steps.append((negated, (), {name: Inside(draw(inner_chains()), values)}))
        elif method == "exists":
            make = draw(st.sampled_from(INSIDE[:2]))
            inner = Inside(draw(inner_chains(model)), (), make)
            steps.append(("filter", (inner,), draw(st.sampled_from([{}, {"pk": 1}]))))
        elif method == "subquery":
            make = draw(st.sampled_from(INSIDE))
            name = draw(st.sampled_from(["annotate", "alias", "order_by"]))
            inner = Inside(draw(inner_chains(model)), (), make)
            if name == "order_by":
                steps.append((name, (inner, "pk"), {}))
            else:
                steps.append((name, (), {draw(st.sampled_from("nm")): inner}))
        elif method == "using":
            steps.append((method, ("default",), {}))
        elif method == "fetch_mode":
            steps.append((method, (draw(st.sampled_from(FETCH_MODES)),), {}))
        elif method == "slice":
            start, length = draw(st.integers(0, 2)), draw(st.integers(0, 3))
            steps.append(("__getitem__", (slice(start, start + length),), {}))
        else:
            steps.append((method, (), {}))
    terminal = draw(
        st.sampled_from(
            "list list list touch get first last exists count aggregate aggregate "
            "earliest latest contains in_bulk __getitem__ iterator".split()
        )
    )
    args: tuple[Any, ...] = ()
    if terminal == "aggregate":
        args = (draw(st.sampled_from(EXPRESSIONS[model])),)
    elif terminal in ("earliest", "latest"):
        args = tuple(draw(st.lists(st.sampled_from(NAMES[model]), max_size=2)))
    elif terminal == "contains":
        args = (draw(st.integers(1, 4)),)
    elif terminal == "iterator":
        args = (draw(st.integers(1, 3)),)
    elif terminal == "__getitem__":
        args = (draw(st.integers(-1, 2)),)
    elif terminal == "in_bulk":
        args = (draw(LISTS),)
    start = draw(st.sampled_from(STARTS[model]))
    return Chain(model, start, steps, terminal, args)


def taken(chain: Chain) -> Any:
    """The queryset of *chain*."""
    queryset: Any = chain.start().all()
    for method, args, kwargs in chain.steps:
        given = [arg() if callable(arg) else arg for arg in args]
        named = {
            name: value() if isinstance(value, Inside) else value
            for name, value in kwargs.items()
        }
        queryset = getattr(queryset, method)(*given, **named)
    return queryset


def take(chain: Chain) -> Any:
    queryset = taken(chain)
    if chain.terminal == "list":
        return list(queryset)
    if chain.terminal == "touch":
        found = list(queryset)
        touched = [
            TOUCHED[chain.model](one) for one in found if type(one) is chain.model
        ]
        return [found, touched]
    if chain.terminal == "iterator":
        return list(queryset.iterator(*chain.args))
    if chain.terminal == "contains":
        return queryset.contains(chain.model(pk=chain.args[0]))
    if chain.terminal == "aggregate":
        return queryset.aggregate(result=chain.args[0])
    return getattr(queryset, chain.terminal)(*chain.args)


def fill() -> None:
    if Artist.objects.exists():
        return
    label = Label.objects.create(name="Blues 1")
    genres = [Genre.objects.create(name=name) for name in ("a", "Blues 1")]
    for number in range(1, 4):
        artist = Artist.objects.create(name=f"a{number}")
        if number < 3:
            Biography.objects.create(artist=artist, text="b_")
        for year in (1964, 1965):
            album = Album.objects.create(
                title=f"Blues {number}",
                year=year,
                artist=artist,
                label=label if number == 1 else None,
            )
            album.genres.set(genres[:number])
            for position in range(number):
                Track.objects.create(title="a", album=album, position=position)
            Booklet.objects.create(album=album, scan=("a.png", "", None)[number - 1])
