"""`settings.VINYL`: what its keys may be, and what happens with wrong values."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

import vinyl
from vinyl.conf import KEYS, check_keys, django_setting, vinyl_settings

PAGE = Path(vinyl.__file__).parents[1] / "docs" / "reference" / "settings.md"
# A row of the page's table: key and default.
ROW = re.compile(r'^\| `"([A-Z_]+)"` \| `?([^|`]+)`? \|', re.M)

NAN, INFINITE = float("nan"), float("inf")
# Of each key, values that are wrong, and values that are right besides the default.
WRONG: dict[str, list[Any]] = {
    "IS_ASYNC": ["sometimes", None, 1],
    "SLOW_QUERIES": [0, -1.5, "0.5", True, NAN],
    "SLOW_QUERIES_PARAMS": ["False", None],
    "OPENTELEMETRY": ["on", None, 1],
    "LAZY_IN_TEMPLATES": ["never", None, ["warn"]],
    "TEMPLATE_FETCH_MODE": ["all", None],
    "GC_THRESHOLD": [0, -1, "50000", True, 1.5],
    "THREADS": [0, -1, "4", True, 2.5, None],
    "REPLICAS": ["replica", {"replica": 1}, None, 3],
    "MAX_BODY_SIZE": ["10MB", 0, -1, 1.5, True],
    "BODY_TIMEOUT": ["60", 0, -1, True, NAN, INFINITE],
    "STATIC_MAX_AGE": ["60", -1, 0.5, True, None],
    "LIFESPAN": [None, 3, [len]],
}
RIGHT: dict[str, list[Any]] = {
    "IS_ASYNC": [True, False],
    "SLOW_QUERIES": [1, 0.5],
    "SLOW_QUERIES_PARAMS": [True],
    "OPENTELEMETRY": [True, False],
    "LAZY_IN_TEMPLATES": ["warn", "raise"],
    "TEMPLATE_FETCH_MODE": ["peers"],
    "GC_THRESHOLD": [1, None],
    "THREADS": [1],
    "REPLICAS": [["replica"], ("replica",)],
    "MAX_BODY_SIZE": [1, None],
    "BODY_TIMEOUT": [0.5, 60, None],
    "STATIC_MAX_AGE": [0, 3600],
    "LIFESPAN": ["mysite.lifespan", ["a.b", "c.d"], ("a.b",)],
}


def pairs(values: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, many in values.items() for value in many]


def test_the_reference_lists_each_key_with_its_default() -> None:
    page = PAGE.read_text()
    table = page[page.index("## `VINYL`") : page.index("## Django's settings")]
    listed = {name: ast.literal_eval(default) for name, default in ROW.findall(table)}
    assert listed == {name: key.default for name, key in KEYS.items()}


@pytest.mark.parametrize("name", KEYS)
def test_a_default_is_valid(name: str) -> None:
    with override_settings(VINYL={}):
        assert KEYS[name].is_valid(KEYS[name].default)
        assert getattr(vinyl_settings, name) == KEYS[name].default


@pytest.mark.parametrize(("name", "value"), pairs(RIGHT))
def test_a_value_that_is_right(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vinyl.orm.apps.read_settings", lambda: None)
    with override_settings(VINYL={name: value}):
        assert getattr(vinyl_settings, name) is value
        assert not list(check_keys("vinyl.E"))


@pytest.mark.parametrize(("name", "value"), pairs(WRONG))
def test_a_value_that_is_wrong(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check and the error at the first use have the same words."""
    # It would raise for IS_ASYNC, which is tested below.
    monkeypatch.setattr("vinyl.orm.apps.read_settings", lambda: None)
    key = KEYS[name]
    start = f"settings.VINYL['{name}'] is {value!r}, which is not {key.kind}"
    with override_settings(VINYL={name: value}):
        if key.consequence:
            assert getattr(vinyl_settings, name) == key.fallback
            message = f"{start}, so {key.consequence}."
        else:
            message = f"{start}."
            with pytest.raises(ImproperlyConfigured) as caught:
                getattr(vinyl_settings, name)
            assert str(caught.value) == f"{message} {key.remedy}"
        found = checks.run_checks(tags=["vinyl"])
    if key.id:
        # A link follows the hint.
        assert [(one.id, one.msg) for one in found] == [(key.id, message)]
        assert str(found[0].hint).startswith(key.remedy)


def test_a_wrong_mode_is_refused_at_once() -> None:
    with pytest.raises(ImproperlyConfigured, match="IS_ASYNC.*'sometimes'"):
        with override_settings(VINYL={"IS_ASYNC": "sometimes"}):
            pass


@pytest.mark.parametrize("value", [None, ["THREADS"]])
def test_settings_that_are_not_a_dictionary(value: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="which is not a dictionary. Use"):
        with override_settings(VINYL=value):
            pass


def test_a_value_is_read_once_and_again_after_a_change() -> None:
    with override_settings(VINYL={"THREADS": 3}):
        assert vinyl_settings.THREADS == 3
        # An attribute from here on.
        assert vars(vinyl_settings)["THREADS"] == 3
        with override_settings(VINYL={"THREADS": 4}):
            assert vinyl_settings.THREADS == 4
        assert vinyl_settings.THREADS == 3
    assert vinyl_settings.THREADS == 10


def test_a_setting_of_django_is_the_current_one() -> None:
    assert django_setting("APPEND_SLASH") is True
    with override_settings(APPEND_SLASH="changed"):
        assert django_setting("APPEND_SLASH") == "changed"
        settings.APPEND_SLASH = "assigned"
        assert django_setting("APPEND_SLASH") == "assigned"
    assert django_setting("APPEND_SLASH") is True
    with pytest.raises(AttributeError):
        django_setting("NO_SUCH_SETTING")
