"""Named tuples, which behave as those of `typing`."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing
from typing import Any

import pytest

from vinyl.records import NamedTuple


class Album(NamedTuple):
    """An album."""

    title: str
    year: int = 1965
    cls: str = "LP"

    @property
    def label(self) -> str:
        return f"{self.title} ({self.year})"


class Single(Album):
    """It inherits the fields."""


class OfTyping(typing.NamedTuple):
    title: str
    year: int = 1965
    cls: str = "LP"


BLUES = Album("Pastel Blues")


def test_fields_are_read_by_name_and_by_position() -> None:
    title, *others = BLUES
    assert (title, others) == ("Pastel Blues", [1965, "LP"])
    assert (BLUES.title, BLUES.year, BLUES[0]) == ("Pastel Blues", 1965, "Pastel Blues")
    assert BLUES.label == "Pastel Blues (1965)"


@pytest.mark.parametrize("cls", [Album, Single, OfTyping])
def test_equal_to_those_of_typing(cls: Any) -> None:
    one = cls("Pastel Blues", cls="EP")
    assert one == OfTyping("Pastel Blues", 1965, "EP")
    assert hash(one) == hash(OfTyping("Pastel Blues", 1965, "EP"))
    assert repr(one) == f"{cls.__name__}(title='Pastel Blues', year=1965, cls='EP')"
    assert one._replace(year=1966) == cls("Pastel Blues", 1966, "EP")
    assert type(one._replace(year=1966)) is cls
    assert one._asdict() == {"title": "Pastel Blues", "year": 1965, "cls": "EP"}
    assert cls._fields == ("title", "year", "cls")
    assert cls._field_defaults == {"year": 1965, "cls": "LP"}
    assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one))
    assert type(pickle.loads(pickle.dumps(one))) is cls
    match one:
        case cls(title, year):
            assert (title, year) == ("Pastel Blues", 1965)
        case _:
            pytest.fail("It does not match its own class.")


@pytest.mark.parametrize("cls", [Album, Single, OfTyping])
def test_wrong_arguments_are_refused(cls: Any) -> None:
    for args, kwargs in (((), {}), ((1, 2, 3, 4), {}), ((1,), {"artist": 1})):
        with pytest.raises(TypeError, match="argument"):
            cls(*args, **kwargs)
    one = cls("Pastel Blues")
    with pytest.raises((TypeError, ValueError), match="artist"):
        one._replace(artist="Nina Simone")
    with pytest.raises(AttributeError):
        one.title = "Sinnerman"
    with pytest.raises(AttributeError):
        one.artist = "Nina Simone"


def test_documentation_shows_the_fields() -> None:
    shown = str(inspect.signature(Album))
    assert shown == "(title: 'str', year: 'int' = 1965, cls: 'str' = 'LP')"


def test_an_instance_has_no_dictionary() -> None:
    assert not hasattr(BLUES, "__dict__")


@pytest.mark.parametrize("base", [NamedTuple, typing.NamedTuple])
def test_a_default_in_front_of_none_is_refused(base: Any) -> None:
    body = "class Album(base):\n    year: int = 1965\n    title: str\n"
    with pytest.raises(TypeError, match="default"):
        exec(f"from __future__ import annotations\n{body}", {"base": base})


def test_a_class_without_fields() -> None:
    class Empty(NamedTuple):
        pass

    assert Empty() == ()
    # It does not change what the others inherit.
    assert Album("Pastel Blues").year == 1965
