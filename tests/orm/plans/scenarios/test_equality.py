"""
What a plan gives equals what Django gives.

Hypothesis makes up chains of querysets. Each runs through Django, then until its plan
has been made, then by the plan. Results, errors, SQL and parameters are the same.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import connection
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
    Sum,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Concat, Lower, RowNumber
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.orm.plans.planning import texts_of
from tests.records.models import Album, Artist, Biography, Genre, Label, Track
from vinyl.orm import models, run
from vinyl.orm.plans import shapes, trails
from vinyl.orm.plans.plan import Plan

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

EXAMPLES = int(os.environ.get("VINYL_FUZZ_EXAMPLES", 60))
Q = models.Q

INTEGERS = st.one_of(
    st.integers(-1, 5), st.sampled_from([1964, 1965, 2**31, 2**63, -(2**63) - 1, True])
)
TEXTS = st.sampled_from(["", "a", "A", "Blues 1", "b%", "b_", "\\", "é", None])
DATES = st.sampled_from(
    [datetime.date(1965, 10, 1), datetime.date(2000, 2, 29), "1965-10-01", "nonsense"]
)
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
}
NAMES = {
    Album: ["title", "-year", "pk", "artist__name", "label", "?nonsense"],
    Artist: ["name", "-pk", "biography__text"],
    Track: ["position", "-album__title", "title"],
}
COLUMNS = {
    Album: ["title", "year", "artist", "artist__name", "label__name"],
    Artist: ["name", "id", "biography__text"],
    Track: ["title", "album__title", "position"],
}
RELATIONS = {
    Album: ["artist", "label", "artist__biography"],
    Artist: ["biography"],
    Track: ["album", "album__artist", "album__label"],
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
        lambda: Album.objects.filter(title="Blues 3").first().tracks,  # type: ignore[union-attr]
    ],
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
}
# Which relations of an instance are touched, since they are fetched as the query says.
TOUCHED: dict[type[models.Model], Callable[[Any], Any]] = {
    Album: lambda album: [album.artist, list(album.tracks.all()), album.year],
    Artist: lambda artist: [artist.name, list(artist.albums.all())],
    Track: lambda track: [track.album.artist, track.position],
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
    ],
    Artist: [Count("albums"), Max("albums__year"), Lower("name"), F("pk") * 2],
    Track: [Count("album__genres"), Avg("position"), F("position") - F("pk")],
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
}
ORDERINGS: list[Any] = [F("pk").desc(), Lower("title").asc(nulls_last=True), "pk"]
FETCH_MODES = [
    getattr(django_models, name) for name in django_models.__all__ if "FETCH_" in name
]

Step = tuple[str, tuple[Any, ...], dict[str, Any]]


class Chain(NamedTuple):
    model: type[models.Model]
    start: Callable[[], Any]
    steps: list[Step]
    terminal: str
    args: tuple[Any, ...]


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
                "by_expression".split()
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
        args = (model(pk=draw(st.integers(1, 4))),)
    elif terminal == "iterator":
        args = (draw(st.integers(1, 3)),)
    elif terminal == "__getitem__":
        args = (draw(st.integers(-1, 2)),)
    elif terminal == "in_bulk":
        args = (draw(LISTS),)
    start = draw(st.sampled_from(STARTS[model]))
    return Chain(model, start, steps, terminal, args)


def take(chain: Chain) -> Any:
    queryset: Any = chain.start().all()
    for method, args, kwargs in chain.steps:
        given = [arg() if callable(arg) else arg for arg in args]
        queryset = getattr(queryset, method)(*given, **kwargs)
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
    if chain.terminal == "aggregate":
        return queryset.aggregate(result=chain.args[0])
    return getattr(queryset, chain.terminal)(*chain.args)


def shown(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """
    *value* with everything that a user could see of instances, but for those that it
    was found *within*.
    """
    if isinstance(value, list):
        return [shown(one, within) for one in value]
    if isinstance(value, dict):
        return [(name, shown(one, within)) for name, one in value.items()]
    if not isinstance(value, models.Model):
        return type(value), value
    if any(value is one for one in within):
        return "above", value.pk
    within = *within, value
    attributes = dict(vars(value))
    state = dict(vars(attributes.pop("_state")))
    if "peers" in state:
        state["peers"] = [getattr(peer(), "pk", None) for peer in state["peers"]]
    prefetched = attributes.pop("_prefetched_objects_cache", {})
    return (
        type(value),
        shown(attributes, within),
        {
            name: (shown(list(rows), within), queryset_of(rows, within))
            for name, rows in prefetched.items()
        },
        shown(state, within),
    )


def queryset_of(rows: Any, within: tuple[Any, ...]) -> Any:
    """What a user could see of a queryset that a manager returns, but for its rows."""
    known = [
        (str(field), key, shown(one, within))
        for field, related in rows._known_related_objects.items()
        for key, one in related.items()
    ]
    is_fetched = [rows.all()._result_cache is None, rows._prefetch_done]
    return (
        type(rows),
        rows.db,
        {name: shown(one, within) for name, one in rows._hints.items()},
        getattr(rows, "_fetch_mode", None),
        is_fetched,
        known,
        str(rows.all().query),
        str(rows.all().filter(pk__gt=1).query),
    )


def outcome(take: Callable[[], Any]) -> tuple[Any, Any]:
    """The result or the error, and the queries."""
    with CaptureQueriesContext(connection) as queries:
        result = result_of(take)
    return result, texts_of(queries)


def result_of(take: Callable[[], Any]) -> Any:
    try:
        return shown(take())
    except Exception as error:
        return type(error), str(error)


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


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(chain=chains())
def test_plans_give_what_django_gives(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill()
    used: list[Plan] = []
    bound = Plan.bound

    def counted(self: Plan, *args: Any) -> Any:
        used.append(self)
        return bound(self, *args)

    with monkeypatch.context() as patches:
        patches.setattr(trails, "_enabled", False)
        expected = outcome(lambda: take(chain))
        # The cursor that records queries has errors of its own.
        unobserved = result_of(lambda: take(chain))
        patches.setattr(trails, "_enabled", True)
        patches.setattr(Plan, "bound", counted)
        shapes.forget()
        for occasion in ("seen", "learned", "planned", "planned again"):
            found = outcome(lambda: take(chain))
            assert found == expected, occasion
        # Where nobody observes, without a cursor.
        assert result_of(lambda: take(chain)) == unobserved
    event(f"planned: {bool(used)}")


async def test_in_the_bridge_as_well() -> None:
    await run(fill)
    for _ in range(4):
        albums = await Album.objects.filter(artist__name="a1", year__lt=1965)
        assert [album.title for album in albums] == ["Blues 1"]
