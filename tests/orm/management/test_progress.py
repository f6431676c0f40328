"""How far a command has come, on a terminal."""

from __future__ import annotations

import io
import time

import pytest
from django.core.management.base import OutputWrapper

from vinyl.orm.management.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(terminal: io.StringIO) -> list[str]:
    """The lines that were shown, each over the one before."""
    return [line.rstrip() for line in terminal.getvalue().split("\r") if line]


def steps(output: io.StringIO, total: int | None, verbosity: int = 1) -> None:
    with Progress(
        OutputWrapper(output), "Loading", total, verbosity=verbosity, no_color=False
    ) as progress:
        for _ in range(4):
            # As if time passed between the steps.
            progress._next = time.monotonic()
            progress.advance(500)


def test_a_bar_grows_and_disappears() -> None:
    terminal = Terminal()
    steps(terminal, 2000)
    *lines, last = shown(terminal)
    assert lines == [
        f"Loading: [{'#' * 7:<30}] 25%, 500 of 2,000",
        f"Loading: [{'#' * 15:<30}] 50%, 1,000 of 2,000",
        f"Loading: [{'#' * 22:<30}] 75%, 1,500 of 2,000",
        f"Loading: [{'#' * 30}] 100%, 2,000 of 2,000",
    ]
    assert last == ""
    assert terminal.getvalue().endswith(f"\r{' ' * len(lines[-1])}\r")


def test_without_a_total_the_steps_are_counted() -> None:
    terminal = Terminal()
    steps(terminal, None)
    assert shown(terminal)[-2] == "Loading: 2,000"


def test_updates_are_rare() -> None:
    terminal = Terminal()
    with Progress(OutputWrapper(terminal), "Loading") as progress:
        for _ in range(1000):
            progress.advance()
        assert progress.done == 1000
    assert shown(terminal)[0] == "Loading: 1"
    assert len(shown(terminal)) < 20


@pytest.mark.parametrize(
    ("output", "verbosity"), [(io.StringIO(), 1), (Terminal(), 0)], ids=["file", "-v 0"]
)
def test_without_a_terminal_or_words_nothing_is_shown(
    output: io.StringIO, verbosity: int
) -> None:
    steps(output, 2000, verbosity)
    assert output.getvalue() == ""
