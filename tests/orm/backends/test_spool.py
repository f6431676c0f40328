"""Rows that wait in memory, then in a file."""

from __future__ import annotations

from typing import Any

import pytest

from vinyl.orm.backends.spool import Spool


def blocks_of(*blocks: list[Any]) -> Any:
    """A function that gives one block after the other, then none."""
    rest = [*blocks, []]
    return lambda: rest.pop(0)


def test_gives_the_blocks_in_order_and_then_none() -> None:
    spool = Spool(blocks_of([1, "a"], [2, None]))
    assert [spool.read(), spool.read(), spool.read()] == [[1, "a"], [2, None], []]
    spool.close()


def test_keeps_in_a_file_what_is_too_large_for_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vinyl.orm.backends.spool.MEMORY_BYTES", 10)
    spool = Spool(blocks_of(["x" * 100], ["y" * 100]))
    assert [spool.read(), spool.read(), spool.read()] == [["x" * 100], ["y" * 100], []]
    spool.close()


def test_an_error_of_the_driver_leaves_no_file() -> None:
    def fetch() -> list[Any]:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        Spool(fetch)
