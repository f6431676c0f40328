"""The kinds of values."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F, Q

from tests.records.models import Album, Artist
from vinyl.orm.plans import values
from vinyl.orm.plans.values import Unplannable, keyed, replaced


def key_of(*args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
    found: list[Any] = []
    return keyed(args, kwargs, found, []), found


class TestKeys:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({"year": 1965}, {"year": 1966}),
            ({"artist": Artist(pk=1)}, {"artist": Artist(pk=2)}),
            ({"pk__in": [1, 2]}, {"pk__in": [3, 4]}),
            ({"pk__in": [Artist(pk=1)]}, {"pk__in": [Artist(pk=2)]}),
        ],
        ids=["numbers", "instances", "lists", "lists of instances"],
    )
    def test_values_of_a_kind_have_one(
        self, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        key, found = key_of(**first)
        assert key == key_of(**second)[0]
        assert found == [*first.values()]

    @pytest.mark.parametrize(
        "other",
        [
            {"year": "1965"},
            {"year": None},
            {"year": True},
            {"year__gt": 1965},
            {"year__in": [1965]},
            {"year__in": [1965, 1966]},
            {"year__in": (1965,)},
        ],
        ids=repr,
    )
    def test_others_have_another(self, other: dict[str, Any]) -> None:
        assert key_of(year=1965)[0] != key_of(**other)[0]

    def test_literals_are_part_of_it(self) -> None:
        assert key_of(label=None, is_old=True)[1] == []
        assert key_of(is_old=True)[0] != key_of(is_old=False)[0]
        assert key_of(year=F("pk"))[1] == []
        assert key_of(year=F("pk"))[0] != key_of(year=F("year"))[0]

    def test_of_conditions(self) -> None:
        one, found = key_of(Q(year=1) | ~Q(title="x"), year=2)
        assert found == [1, "x", 2]
        assert one == key_of(Q(year=3) | ~Q(title="y"), year=4)[0]
        assert one != key_of(Q(year=1) & ~Q(title="x"), year=2)[0]
        assert one != key_of(Q(year=1) | Q(title="x"), year=2)[0]

    def test_a_list_is_copied(self) -> None:
        years = [1965]
        _, [kept] = key_of(year__in=years)
        years.append(1966)
        assert kept == [1965]

    @pytest.mark.parametrize(
        "kwargs",
        [
            {"year": type("Year", (int,), {})(1965)},
            {"year": [1965]},
            {"year__in": []},
            {"year__in": [1965, "1966"]},
            {"year__in": [object()]},
            {"year__in": [1] * (values.MAX_LIST + 1)},
            {"year__in": Album.objects.none()},
        ],
        ids=[
            "a subclass",
            "a list without __in",
            "an empty list",
            "a mixed list",
            "a list of others",
            "a long list",
            "a queryset",
        ],
    )
    def test_what_has_none(self, kwargs: dict[str, Any]) -> None:
        with pytest.raises(Unplannable):
            key_of(**kwargs)
        with pytest.raises(Unplannable):
            key_of(Q(**kwargs))

    def test_a_condition_of_another_class_has_none(self) -> None:
        class Own(Q):
            pass

        with pytest.raises(Unplannable):
            key_of(Own(year=1965))


def test_values_are_replaced_in_the_order_of_the_key() -> None:
    args, kwargs = (Q(year=1) | ~Q(title="x", label=None),), {"pk": 2, "is_old": True}
    seen: list[Any] = []

    def replace(value: Any) -> str:
        seen.append(value)
        return f"new {value}"

    (q,), changed = replaced(args, kwargs, replace)
    assert seen == key_of(*args, **kwargs)[1] == [1, "x", 2]
    assert q == Q(year="new 1") | ~Q(title="new x", label=None)
    assert changed == {"pk": "new 2", "is_old": True}
