"""JSON as the standard has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.records.models import Artist
from vinyl.web.http.strict_json import dump_json, load_json


@pytest.mark.parametrize(
    "value", [None, True, 1.5, "żółw", "\U0001f3b5", [1, {"a": []}]], ids=repr
)
def test_what_is_written_is_read(value: Any) -> None:
    assert load_json(dump_json(value).encode()) == value


@pytest.mark.parametrize(
    "text", [b"NaN", b"-Infinity", b'"\\ud800"', b"", b"{", b"\xff"], ids=repr
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        load_json(text)


def test_both_halves_of_a_character_are_one() -> None:
    assert load_json(b'"\\ud83c\\udfb5"') == "\U0001f3b5"


def test_half_a_character_is_written_as_an_escape() -> None:
    assert dump_json("\ud800") == '"\\ud800"'


def test_a_number_without_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        dump_json(float("nan"))


def test_a_model_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match="Artist cannot be written.*Write a dict"):
        dump_json(Artist(name="Nina"))


def test_it_is_compact() -> None:
    assert dump_json({"a": [1, 2]}) == json.dumps({"a": [1, 2]}).replace(" ", "")
