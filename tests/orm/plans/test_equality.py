"""
What a plan gives equals what Django gives.

Hypothesis makes up chains of querysets. Each runs through Django, then until its plan
has been made, then by the plan. Results, errors, SQL and parameters are the same.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.records.models import Album, Artist, Biography, Genre, Label, Track
from vinyl.orm import models, run
from vinyl.orm.observe import recorder
from vinyl.orm.plans import shapes, trails
from vinyl.orm.plans.learning import Plan

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
        ("year__range", st.tuples(INTEGERS, INTEGERS)),
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

Step = tuple[str, tuple[Any, ...], dict[str, Any]]


@st.composite
def chains(draw: st.DrawFn) -> tuple[type[models.Model], list[Step], str]:
    model = draw(st.sampled_from(list(LOOKUPS)))
    steps: list[Step] = []
    for _ in range(draw(st.integers(0, 4))):
        method = draw(
            st.sampled_from(
                "filter exclude filter filter_q order_by reverse distinct only defer "
                "select_related values values_list flat slice all".split()
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
        elif method == "slice":
            start, length = draw(st.integers(0, 2)), draw(st.integers(0, 3))
            steps.append(("__getitem__", (slice(start, start + length),), {}))
        else:
            steps.append((method, (), {}))
    return (
        model,
        steps,
        draw(st.sampled_from("list list get first last exists count".split())),
    )


def take(model: type[models.Model], steps: list[Step], terminal: str) -> Any:
    queryset: Any = model.objects.all()
    for method, args, kwargs in steps:
        queryset = getattr(queryset, method)(*args, **kwargs)
    if terminal == "list":
        return list(queryset)
    return getattr(queryset, terminal)()


def shown(value: Any) -> Any:
    """*value* with everything that a user could see of instances."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    if isinstance(value, models.Model):
        attributes = dict(vars(value))
        state = dict(vars(attributes.pop("_state")))
        cached = state.get("fields_cache", {})
        return (
            type(value),
            list(attributes.items()),
            [(name, name == "fields_cache" or one) for name, one in state.items()],
            {name: _once(one, value) for name, one in cached.items()},
        )
    return type(value), value


def _once(related: Any, seen_from: Any) -> Any:
    # The other side of a one-to-one relation leads back.
    back = getattr(related, "_state", None)
    if back is not None and seen_from in vars(back).get("fields_cache", {}).values():
        return type(related), related.pk
    return shown(related)


def outcome(take: Callable[[], Any]) -> tuple[Any, Any]:
    """The result or the error, and the queries."""
    with CaptureQueriesContext(connection) as queries:
        try:
            result = shown(take())
        except Exception as error:
            result = type(error), str(error)
    return result, [query["sql"] for query in queries]


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
    chain: tuple[type[models.Model], list[Step], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill()
    model, steps, terminal = chain
    used: list[Plan] = []
    bound = Plan.bound

    def counted(self: Plan, *args: Any) -> Any:
        used.append(self)
        return bound(self, *args)

    with monkeypatch.context() as patches:
        # A recording that another test has made keeps this on.
        patches.setattr(recorder, "observes_loads", False)
        patches.setattr(trails, "_enabled", False)
        expected = outcome(lambda: take(model, steps, terminal))
        patches.setattr(trails, "_enabled", True)
        patches.setattr(Plan, "bound", counted)
        shapes.forget()
        for occasion in ("seen", "learned", "planned", "planned again"):
            found = outcome(lambda: take(model, steps, terminal))
            assert found == expected, occasion
    event(f"planned: {bool(used)}")


async def test_in_the_bridge_as_well() -> None:
    await run(fill)
    for _ in range(4):
        albums = await Album.objects.filter(artist__name="a1", year__lt=1965)
        assert [album.title for album in albums] == ["Blues 1"]
