"""The garbage collector pauses while rows become objects, and only then."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from django.db import connection

from tests.fix_db import only_postgresql
from vinyl.conf import vinyl_settings
from vinyl.orm.backends.collection import (
    DEFAULT_THRESHOLDS,
    MANY,
    Pause,
    raise_threshold,
    with_pauses,
)


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


@pytest.fixture
def thresholds() -> Iterator[tuple[int, ...]]:
    """Those that are in effect, which are restored."""
    found = gc.get_threshold()
    yield found
    gc.set_threshold(*found)


def test_the_threshold_is_raised_at_start_up(thresholds: tuple[int, ...]) -> None:
    assert thresholds[0] == vinyl_settings.GC_THRESHOLD


def test_the_default_threshold_is_known() -> None:
    code = "import gc; print(gc.get_threshold()[0])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert int(found.stdout) in DEFAULT_THRESHOLDS


@pytest.mark.parametrize("default", DEFAULT_THRESHOLDS)
def test_only_the_first_threshold_is_raised(
    default: int, thresholds: tuple[int, ...]
) -> None:
    gc.set_threshold(default, *thresholds[1:])
    raise_threshold(123_456)
    assert gc.get_threshold() == (123_456, *thresholds[1:])


@pytest.mark.parametrize("first", [0, 600, 10_000])
def test_a_threshold_that_code_has_set_stays(
    first: int, thresholds: tuple[int, ...]
) -> None:
    gc.set_threshold(first, 7, 8)
    expected = gc.get_threshold()
    raise_threshold(123_456)
    assert gc.get_threshold() == expected


def test_none_raises_no_threshold(thresholds: tuple[int, ...]) -> None:
    gc.set_threshold(700)
    raise_threshold(None)
    assert gc.get_threshold()[0] == 700


@pytest.mark.parametrize(
    ("rows", "runs"), [(MANY - 1, True), (MANY, False)], ids=["few", "many"]
)
def test_pauses_for_many_rows(rows: int, runs: bool) -> None:
    with Pause(rows):
        assert gc.isenabled() is runs
    assert gc.isenabled()


def test_runs_again_after_an_error() -> None:
    with pytest.raises(LookupError), Pause(MANY):
        raise LookupError
    assert gc.isenabled()


def test_stays_off_where_it_is_off() -> None:
    gc.disable()
    with Pause(MANY):
        assert not gc.isenabled()
    assert not gc.isenabled()


def steps(seen: list[bool]) -> Generator[str, str, str]:
    seen.append(gc.isenabled())
    ready = yield "first"
    seen.append(gc.isenabled())
    ready += yield "second"
    seen.append(gc.isenabled())
    return ready


def test_pauses_between_two_waits() -> None:
    seen: list[bool] = []
    gen = with_pauses(steps(seen))
    assert next(gen) == "first"
    assert gc.isenabled()
    assert gen.send("a") == "second"
    assert gc.isenabled()
    with pytest.raises(StopIteration) as ended:
        gen.send("b")
    assert ended.value.value == "ab"
    assert seen == [True, False, False]
    assert gc.isenabled()


@only_postgresql
def test_pauses_while_a_server_side_cursor_loads_rows(db: str) -> None:
    seen = set()

    def row_factory(_: Any) -> Callable[[Any], tuple[Any, ...]]:
        def make(values: Any) -> tuple[Any, ...]:
            seen.add(gc.isenabled())
            return tuple(values)

        return make

    with connection.chunked_cursor() as cursor:
        cursor.cursor.row_factory = row_factory
        cursor.execute("SELECT generate_series(1, 100)")
        assert cursor.fetchmany(60) == [(number,) for number in range(1, 61)]
        assert gc.isenabled()
    assert seen == {False}
