"""JSON as the standard has it."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.forms.utils import ErrorList
from django.http import QueryDict
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.models import Artist
from vinyl.web.http import strict_json
from vinyl.web.http.strict_json import dump_json, load_json


@pytest.mark.parametrize(
    "value", [None, True, 1.5, "żółw", "\U0001f3b5", [1, {"a": []}]], ids=repr
)
def test_what_is_written_is_read(value: Any) -> None:
    assert load_json(dump_json(value)) == value


@pytest.mark.parametrize(
    "text", [b"NaN", b"-Infinity", b'"\\ud800"', b"", b"{", b"\xff"], ids=repr
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        load_json(text)


def test_both_halves_of_a_character_are_one() -> None:
    assert load_json(b'"\\ud83c\\udfb5"') == "\U0001f3b5"


def test_half_a_character_is_written_as_an_escape() -> None:
    assert dump_json("\ud800") == b'"\\ud800"'


def test_a_number_without_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        dump_json(float("nan"))


def test_a_model_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match="Artist cannot be written.*Write a dict"):
        dump_json(Artist(name="Nina"))


def test_it_is_compact() -> None:
    assert dump_json({"a": [1, 2]}) == b'{"a":[1,2]}'


# ----- The same text as Django's encoder writes


class Text(str):
    """As template code makes it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not its content"


class Number(int):
    def __int__(self) -> int:
        return -1


class Pair(NamedTuple):
    first: Any
    second: Any


class Ordered(OrderedDict[str, Any]): ...


class Rows(list[Any]): ...


@dataclass
class Data:
    value: int


class Size(Enum):
    SMALL = "s"


class Named(StrEnum):
    FIRST = "first"


class Numbered(IntEnum):
    FIRST = 1


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.integers().map(Number),
    st.floats(),
    st.floats(-1, 1),
    st.sampled_from([1e16, 1e-5, 1.5e300, 0.0001, 123456789012345678.0, -0.0, 5e-324]),
    st.text(st.characters(exclude_categories=[])),
    st.text().map(Text),
    st.text().map(mark_safe),
    st.text().map(lambda text: lazystr(text)),
    st.sampled_from(["1e5", "0.00001", "null", "\u2028", "\x7f", "\x00", "a/b"]),
    st.dates(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.times(),
    st.times(timezones=st.just(datetime.UTC)),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.binary(max_size=3),
    st.builds(Data, st.integers()),
    st.just({1, 2}),
    st.sampled_from([*Size, *Named, *Numbered]),
)
keys = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.uuids(),
    st.text().map(Text), st.dates()
)  # fmt: skip


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    dicts = st.dictionaries(st.text(max_size=5), inner, max_size=4)
    return st.one_of(
        lists,
        lists.map(tuple),
        lists.map(Rows),
        lists.map(ErrorList),
        st.builds(Pair, inner, inner),
        dicts,
        dicts.map(Ordered),
        dicts.map(lambda value: QueryDict("a=1&a=2") | value),
        st.dictionaries(keys, inner, max_size=3),
    )


def outcome(dump: Any, value: Any) -> Any:
    try:
        return dump(value)
    except Exception as error:
        return type(error), str(error)


def dump_with_django(value: Any) -> bytes:
    settings: Any = {"cls": DjangoJSONEncoder, "separators": (",", ":")}
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, **settings)
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, **settings).encode()


@settings(max_examples=500)
@given(st.recursive(scalars, containers, max_leaves=12))
def test_any_value_is_written_as_by_django(value: Any) -> None:
    assert outcome(dump_json, value) == outcome(dump_with_django, value)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([1, -1]))
def test_any_float_is_written_as_by_django(value: float, sign: int) -> None:
    for each in (value, math.fmod(value, 1e4), sign * 10.0 ** math.fmod(value, 30)):
        for written in ([each], [{"id": 1, "price": each}, {"id": 2, "price": 0.5}]):
            assert dump_json(written) == dump_with_django(written)


@pytest.mark.parametrize("hidden", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: value,
        lambda value: [None, value],
        lambda value: {"a": ({"b": [1.5, value]},)},
        lambda value: Ordered(a=[value]),
        lambda value: [Pair(None, value)],
        lambda value: Rows([value]),
        lambda value: [{"id": 1, "price": 0.5}, {"id": 2, "price": value}],
        lambda value: [{"id": 1, "price": 0.5}, {"id": 2, "prices": [value]}],
    ],
    ids=["alone", "list", "nested", "OrderedDict", "named tuple", "list of a class"]
    + ["rows", "nested in rows"],
)
def test_numbers_without_json_are_found_anywhere(wrap: Any, hidden: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        dump_json(wrap(hidden))


def test_a_circle_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="Circular"):
        dump_json(value)


@pytest.mark.parametrize("beside", [1, 2**70, {1: 2}], ids=repr)
def test_a_member_of_an_enumeration_is_refused(beside: Any) -> None:
    """As by Django, though orjson would write it."""
    with pytest.raises(TypeError, match="Size is not JSON serializable"):
        dump_json([beside, Size.SMALL])


def test_values_of_models_are_written_by_the_fast_encoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = {
        "at": datetime.datetime(2024, 5, 17, 12, 30, 1, 234567, tzinfo=datetime.UTC),
        "price": Decimal("1.50"),
        "key": uuid.UUID(int=1),
        "title": mark_safe("<b>"),
        "missing": None,
        "ratio": 0.25,
    }
    expected = dump_with_django(value)
    monkeypatch.setattr(strict_json, "_dumped", None)
    assert dump_json([value, (value,)]) == b"[%s,[%s]]" % (expected, expected)
