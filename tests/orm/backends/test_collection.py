"""The garbage collector pauses while rows become objects, and only then."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from django.db import connection

from tests.fix_db import only_postgresql
from vinyl.orm.backends.collection import MANY, Pause, with_pauses


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


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
