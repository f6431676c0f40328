"""vinyl's errors: their tree, what they say, and that they can be pickled."""

from __future__ import annotations

import copy
import pickle
import re
import traceback
from pathlib import Path

import pytest

from vinyl import DOCUMENTATION, exceptions
from vinyl.exceptions import (
    LazyInTemplateError,
    NotAwaitedError,
    NotFetchedError,
    PoolFull,
    PoolTimeout,
    ScopeClosedError,
    VinylError,
)

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "errors.md"
CLASSES = [getattr(exceptions, name) for name in exceptions.__all__]

ERRORS = [
    NotFetchedError("Album", "artist", "bool()"),
    NotFetchedError("Request", "user", "bool()", "Await request.user."),
    LazyInTemplateError("Album", "artist", "shop/albums.html", 3, "Fetch it."),
    PoolTimeout("default", 10, 30.0, 2, ("60 s by task 'job'",)),
    PoolFull("default", 10, 30.0, 2),
]


def test_each_class_of_the_module_is_public_and_in_the_tree_at_its_top() -> None:
    defined = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and value.__module__ == exceptions.__name__
    }
    assert defined == set(exceptions.__all__)
    assert all(issubclass(cls, VinylError) for cls in CLASSES)
    tree = exceptions.__doc__ or ""
    shown = re.findall(r"(?:─ | {4})(\w+(?:Error|Timeout|Full|Version))\b", tree)
    assert set(shown) == defined


def test_each_class_has_its_section_in_the_reference() -> None:
    headings = re.findall(r"^##? (\w+)$", PAGE.read_text(), re.M)
    # That of the base class is the whole page.
    assert {"VinylError", *headings} == {"Errors", *exceptions.__all__}


class OfAUser(ScopeClosedError):
    """An error that a project derives from one of vinyl's."""


@pytest.mark.parametrize(
    ("error", "anchor"),
    [
        (NotAwaitedError("Await it."), "notawaitederror"),
        (OfAUser("Too late."), "scopeclosederror"),
        (ERRORS[0], "notfetchederror"),
        (ERRORS[2], "lazyintemplateerror"),
        (ERRORS[4], "poolfull"),
        (copy.copy(ERRORS[4]), "poolfull"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_traceback_links_to_the_section(error: VinylError, anchor: str) -> None:
    shown = "".join(traceback.format_exception(error))
    assert shown.endswith(f"\nSee {DOCUMENTATION}/reference/errors.html#{anchor}\n")
    assert shown.count("See ") == 1
    assert "See " not in str(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_can_be_pickled_with_its_facts(error: VinylError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ERRORS[0], "Album.artist has not been fetched, so bool() is not possible. "),
        (ERRORS[1], "is not possible. Await request.user."),
        (ERRORS[2], "is not loaded where shop/albums.html, line 3, touches it"),
        (ERRORS[3], "free within 30 s: all 10 are in use and 2 other tasks wait."),
        (ERRORS[3], " Held longest: 60 s by task 'job'."),
        (ERRORS[3], "raise DATABASES['default']['OPTIONS']['pool']['max_size']."),
        (ERRORS[4], "is free, and the queue is full: all 10 are in use"),
    ],
)
def test_says_what_happened_and_what_to_do(error: VinylError, text: str) -> None:
    assert text in str(error)


def test_an_unfetched_attribute_is_not_an_attribute_error() -> None:
    """`hasattr()` and templates would hide it."""
    assert not issubclass(NotFetchedError, AttributeError)
