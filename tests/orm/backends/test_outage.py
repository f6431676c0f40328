"""How long connects wait for a server that is away."""

from __future__ import annotations

from itertools import islice

import pytest

from vinyl.orm.backends.outage import Outage, pauses_between_connects


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one."""
    now = [1000.0]
    monkeypatch.setattr("vinyl.orm.backends.outage.time.monotonic", lambda: now[0])
    return now


def test_all_wait_until_the_same_moment(clock: list[float]) -> None:
    away = Outage(10)
    assert away.time_left() == 10
    clock[0] += 4
    assert away.time_left() == 6
    clock[0] += 7
    assert away.time_left() == -1


def test_later_ones_fail_at_once_until_the_server_is_back(clock: list[float]) -> None:
    away = Outage(10)
    away.time_left()
    for _ in range(5):
        clock[0] += 9
        away.time_left()
    assert away.time_left() < 0
    away.end()
    assert away.time_left() == 10


def test_an_outage_whose_end_was_not_observed(clock: list[float]) -> None:
    away = Outage(10)
    away.time_left()
    clock[0] += 3600
    assert away.time_left() == 10


def test_zero_waits_for_nothing(clock: list[float]) -> None:
    away = Outage(0)
    assert away.time_left() == 0
    clock[0] += 3600
    assert away.time_left() == 0


def test_pauses_double_up_to_half_a_second() -> None:
    pauses = list(islice(pauses_between_connects(), 10))
    limits = [0.05, 0.1, 0.2, 0.4, *[0.5] * 6]
    for pause, limit in zip(pauses, limits, strict=True):
        assert limit / 2 <= pause <= limit
