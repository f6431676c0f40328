"""Where a call stands in code: whose it is, and what becomes of the result."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import LazySettings
from django.test import override_settings

import vinyl
from vinyl.bridge.bytecode import (
    DJANGO,
    DROPPED,
    KEPT,
    PACKAGE,
    PROJECT,
    PYTHON,
    RETURNED,
    VINYL,
    CallInstruction,
    owner_of,
)

DJANGOS = str(Path(django.__file__).parent / "made_up.py")
OURS = "/srv/shop/views.py"


class Places:
    """Notes the place in code that calls `look()`, or an operation that leads there."""

    def __init__(self) -> None:
        self.found: list[CallInstruction] = []
        self.uses: list[bool] = []
        self.calls: list[bool] = []

    def look(self, *args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        place = CallInstruction(frame.f_code, frame.f_lasti)
        self.found.append(place)
        self.calls.append(place.is_call_of(frame, type(self).look, None))
        self.uses.append(place.is_use(frame))
        return self

    __getitem__ = look

    @property
    def looked(self) -> Any:
        return Places.look(self)


def place_in(body: str, filename: str = OURS, **names: Any) -> tuple[Any, Places]:
    """The place in the function with this *body*, where `it` is looked at."""
    places = Places()
    text = f"def work(it, look):\n{textwrap.indent(textwrap.dedent(body), '    ')}"
    namespace: dict[str, Any] = {**names}
    exec(compile(text, filename, "exec"), namespace)
    result = namespace["work"](places, places.look)
    if hasattr(result, "__next__"):
        list(result)
    elif hasattr(result, "send"):
        with contextlib.suppress(StopIteration):
            result.send(None)
    [place] = places.found
    return place, places


@pytest.mark.parametrize(
    ("body", "fate"),
    [
        ("it.look()", DROPPED),
        ("look(1, b=2)", DROPPED),
        ("look(*[1], **{})", DROPPED),
        ("return it.look()", RETURNED),
        ("found = it.look()\nreturn found", RETURNED),
        ("return it.look() if it else None", RETURNED),
        ("yield it.look()", RETURNED),
        ("for _ in (1,):\n    return it.look()", RETURNED),
        ("return it[0]", RETURNED),
        ("it[0]", DROPPED),
        ("found = it.look()", KEPT),
        ("found = it.look()\nfound.found\nreturn found", KEPT),
        ("found = [it.look()]", KEPT),
        ("return [it.look()]", KEPT),
        ("assert it.look()", KEPT),
        ("return it.look(), 1", KEPT),
    ],
)
def test_uses_of_the_result(body: str, fate: str) -> None:
    place, _ = place_in(body)
    assert place.fate == fate


def test_an_async_function_that_returns_it_keeps_it() -> None:
    places = Places()
    namespace: dict[str, Any] = {}
    text = "async def work(it):\n    return it.look()"
    exec(compile(text, OURS, "exec"), namespace)
    with contextlib.suppress(StopIteration):
        namespace["work"](places).send(None)
    [place] = places.found
    assert place.is_async
    assert place.fate == KEPT


@pytest.mark.parametrize(
    ("body", "attribute", "variable", "of_variable"),
    [
        ("it.look()", "look", "", "it"),
        ("look()", "", "look", ""),
        ("[it][0].look()", "look", "", ""),
        ("it[0]", "__getitem__", "", ""),
        ("(lambda: look)()()", "", "", ""),
        ("found = it.look()", "", "", ""),
    ],
)
def test_what_is_called(
    body: str, attribute: str, variable: str, of_variable: str
) -> None:
    place, _ = place_in(body)
    names = place.attribute, place.variable, place.of_variable
    assert names == (attribute, variable, of_variable)


@pytest.mark.parametrize(
    ("body", "is_call"),
    [
        ("it.look()", True),
        ("look()", True),
        ("[it][0].look()", True),
        ("found = partial(look)\nreturn found()", True),
        ("other = it.look\nother()", True),
        ("list(map(look, [1]))", False),
        ("return max([1], key=look)", False),
        ("it[0]", False),
    ],
)
def test_whether_the_function_itself_is_called(body: str, is_call: bool) -> None:
    _, places = place_in(body, partial=partial)
    assert places.calls == [is_call]


def test_something_in_c_that_is_called_instead() -> None:
    """`list.append` is no call of a function that it calls in turn."""

    class Thing:
        def __eq__(self, other: object) -> Any:
            frame = sys._getframe(1)
            place = CallInstruction(frame.f_code, frame.f_lasti)
            found.append((place, place.is_call_of(frame, Thing.remove, None)))
            return True

        def remove(self) -> None: ...

    found: list[tuple[CallInstruction, bool]] = []
    things: Any = [Thing()]
    things.remove(Thing())
    [(place, is_call)] = found
    assert (place.attribute, place.of_variable) == ("remove", "things")
    assert not is_call


@pytest.mark.parametrize(
    ("body", "is_use"),
    [
        ("list(it.looked for _ in (1,))", False),
        ("return sorted([1], key=look)", True),
        ("return getattr(it, 'looked')", False),
        ("return str(look())[:0] or None", False),
    ],
)
def test_whether_something_in_c_gets_the_result(body: str, is_use: bool) -> None:
    places = Places()
    text = f"def work(it, look):\n{textwrap.indent(body, '    ')}"
    namespace: dict[str, Any] = {}
    exec(compile(text, OURS, "exec"), namespace)
    namespace["work"](places, places.look)
    assert places.uses[-1] == is_use


class TestForeignCode:
    """Sync code of Django or of a package, which does not await."""

    def test_drops_or_uses_the_result(self) -> None:
        place, _ = place_in("found = it.look()", DJANGOS)
        assert place.is_foreign
        assert not place.is_fine

    def test_the_projects_is_not(self) -> None:
        place, _ = place_in("found = it.look()", OURS)
        assert not place.is_foreign
        assert place.is_fine

    @pytest.mark.parametrize("name", ["isawaitable", "__await__"])
    def test_one_that_knows_coroutines_is_not(self, name: str) -> None:
        place, _ = place_in(f"hasattr(it, '{name}')\nreturn it.look()", DJANGOS)
        assert not place.is_foreign

    def test_one_that_handles_errors_of_the_call_does_not_pass_it_on(self) -> None:
        body = """
            try:
                return it.look()
            except LookupError:
                return None
        """
        assert place_in(body, DJANGOS)[0].fate == KEPT
        assert place_in(body, OURS)[0].fate == RETURNED

    def test_managers_of_django_pass_on_what_getattr_gives(self) -> None:
        body = "return getattr(it, 'look')(1)"
        assert place_in(body, DJANGOS)[0].passes_on
        assert not place_in(body, OURS)[0].passes_on


SITE = "/srv/venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("filename", "owner"),
    [
        (vinyl.__file__, VINYL),
        (DJANGOS, DJANGO),
        (contextlib.__file__, PYTHON),
        ("<frozen importlib._bootstrap>", PYTHON),
        (f"{SITE}/somebody/models.py", PACKAGE),
        (f"{SITE}/single.py", PACKAGE),
        ("/usr/lib/python3/dist-packages/somebody/models.py", PACKAGE),
        (OURS, PROJECT),
        ("<string>", PROJECT),
    ],
)
def test_owners_of_code(filename: str, owner: str) -> None:
    assert owner_of(filename) == owner


@pytest.mark.parametrize("setting", ["ROOT_URLCONF", "WSGI_APPLICATION"])
def test_a_project_that_is_installed_as_a_package(setting: str) -> None:
    owner: Callable[[str], str] = owner_of.__wrapped__
    with override_settings(**{setting: "shop.place"}):
        assert owner(f"{SITE}/shop/models.py") == PROJECT
        assert owner(f"{SITE}/somebody/models.py") == PACKAGE


def test_code_without_positions_has_calls_without_a_name() -> None:
    """As `python -X no_debug_ranges` compiles it."""
    places = Places()
    namespace: dict[str, Any] = {}
    exec(compile("def work(it):\n    it.look()", OURS, "exec"), namespace)
    work = namespace["work"]
    work.__code__ = work.__code__.replace(co_linetable=b"")
    work(places)
    [place] = places.found
    assert place.fate == DROPPED
    assert place.attribute == place.variable == ""


def test_without_settings_there_is_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinyl.bridge.bytecode.settings", LazySettings())
    owner: Callable[[str], str] = owner_of.__wrapped__
    assert owner(f"{SITE}/tests/models.py") == PACKAGE
