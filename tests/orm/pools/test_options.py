"""`OPTIONS["pool"]`: what is right, what is wrong, and what is only psycopg_pool's."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="comparison-overlap, misc"

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from tests.records.models import Artist
from vinyl.orm.checks import check_pools
from vinyl.orm.pools.options import IGNORED, PoolOptions
from vinyl.orm.pools.registry import pool_for

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        (8, "is 8, but must be a dictionary. Write"),
        ({"maxsize": 8}, "'maxsize', which is not an option. Did you mean 'max_size'"),
        ({"workers": 3}, "Did you mean 'num_workers'"),
        ({"nonsense": 3}, "Remove it. The options are min_size, max_size"),
        ({"max_size": 0}, "set to 0. Write an integer greater than or equal to 1"),
        ({"max_size": 2.5}, "set to 2.5. Write an integer"),
        (
            {"timeout": "30"},
            "set to '30'. Write a number of seconds greater than or equal to 0",
        ),
        ({"timeout": float("nan")}, "set to nan. Write a number of seconds"),
        ({"max_lifetime": 0}, "set to 0. Write a number of seconds greater than 0"),
        (
            {"max_idle": -1},
            "set to -1. Write a number of seconds greater than or equal to 0",
        ),
        ({"min_size": True}, "set to True. Write an integer"),
        ({"min_size": 20}, "a min_size of 20 and a max_size of only 10"),
        (
            {"max_size": None},
            "set to None. Write an integer greater than or equal to 1",
        ),
        ({"max_size": None, "min_size": 0}, "'max_size' set to None. Write"),
    ],
)
async def test_wrong_options_are_reported(
    db: str, configured: Any, message: str
) -> None:
    connections.settings["default"]["OPTIONS"]["pool"] = configured
    try:
        [error] = check_pools(databases=["default"])
        with pytest.raises(ImproperlyConfigured, match=message):
            await Artist.objects.count()
    finally:
        del connections.settings["default"]["OPTIONS"]["pool"]
    assert error.id == "vinyl.E001"
    assert re.search(message, f"{error.msg} {error.hint}")


@pytest.mark.parametrize(
    "configured",
    [None, True, False, {}, {"max_size": 3}, {"min_size": 2, "max_size": None}],
)
async def test_right_ones_are_not(db: str, configured: Any) -> None:
    connections.settings["default"]["OPTIONS"]["pool"] = configured
    try:
        assert check_pools() == []
        assert await Artist.objects.count() == 0
    finally:
        del connections.settings["default"]["OPTIONS"]["pool"]


@pytest.mark.parametrize("name", IGNORED)
async def test_one_of_psycopg_pool_without_effect_is_a_warning(
    db: str, name: str
) -> None:
    connections.settings["default"]["OPTIONS"]["pool"] = {name: 3, "max_size": 2}
    try:
        [warning] = check_pools()
        assert await Artist.objects.count() == 0
        assert pool_for("default").max_size == 2
    finally:
        del connections.settings["default"]["OPTIONS"]["pool"]
    assert warning.id == "vinyl.W020"
    assert not warning.is_serious()
    assert f"has the key {name!r} of psycopg_pool, which has no effect" in str(warning)
    assert IGNORED[name] in str(warning.hint)


def test_a_fixed_size_is_that_of_psycopg_pool() -> None:
    options, problems, ignored = PoolOptions.read({"min_size": 2, "max_size": None})
    assert (options.min_size, options.max_size) == (2, 2)
    assert problems == ignored == []


def test_every_option_of_psycopg_pool_is_known_and_documented() -> None:
    psycopg_pool = pytest.importorskip("psycopg_pool")
    own = set(PoolOptions._fields)
    signature = inspect.signature(psycopg_pool.ConnectionPool.__init__)
    assert {*signature.parameters} - own - {"self"} <= set(IGNORED)
    page = (ROOT / "docs/reference/settings.md").read_text()
    _, ours, theirs = re.split("### Options of psycopg_pool|## The pool", page)
    documented = re.compile(r'^\| `"(\w+)"` \|', re.MULTILINE)
    assert set(documented.findall(ours)) == own
    theirs = theirs.partition("\n## ")[0]
    assert set(documented.findall(theirs)) == set(IGNORED)
    for name in own - {"check_idle"}:
        assert f"`{name}`" in theirs
