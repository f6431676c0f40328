"""Marks, which tell a marked function from what a decorator makes of it."""

from __future__ import annotations

import functools

from vinyl.bridge.marks import Mark

SEEN = Mark("is_seen")


def plain() -> str:
    return "plain"


@SEEN.put_on
def marked() -> str:
    return "marked"


@functools.wraps(marked)
def decorated() -> str:
    return f"decorated {marked()}"


def test_marking_returns_the_function() -> None:
    assert marked() == "marked"


def test_a_function_that_is_not_marked() -> None:
    assert not SEEN.is_on(plain)
    assert not SEEN.is_on_itself(plain)


def test_a_marked_function() -> None:
    assert SEEN.is_on(marked)
    assert SEEN.is_on_itself(marked)


def test_a_decorator_copies_the_mark() -> None:
    assert SEEN.is_on(decorated)
    assert not SEEN.is_on_itself(decorated)


def test_marks_are_independent() -> None:
    assert not Mark("is_other").is_on(marked)
