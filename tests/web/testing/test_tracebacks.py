"""
Tracebacks are shortened to the project's frames. tests/project/test_errors_in_tests.py
shows what pytest prints.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from vinyl.web.testing.tracebacks import shorten

Fn = Callable[[], Any]


def of(module: str) -> Callable[[Fn], None]:
    """A function of *module* that calls another one."""
    namespace: dict[str, Any] = {"__name__": module}
    text = f"def in_{module.replace('.', '_')}(call):\n    call()\n"
    exec(compile(text, f"/srv/{module}.py", "exec"), namespace)
    found: Callable[[Fn], None] = namespace[f"in_{module.replace('.', '_')}"]
    return found


client = of("vinyl.web.testing.http_client")
django = of("django.core.handlers.base")
shop = of("shop.views")


def fail() -> None:
    raise LookupError("in the view")


def error_of(call: Fn) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("It did not fail.")


def functions(error: BaseException) -> list[str]:
    """The functions in the traceback, without those of this test."""
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    return [name for name in names if name not in ("error_of", "<lambda>")]


def test_frames_of_libraries_are_removed() -> None:
    error = error_of(lambda: client(lambda: django(lambda: shop(fail))))
    assert shorten(error)
    assert functions(error) == ["in_shop_views", "fail"]


def test_an_error_that_no_client_raised_stays() -> None:
    error = error_of(lambda: django(lambda: shop(fail)))
    before = functions(error)
    assert not shorten(error)
    assert functions(error) == before


def test_one_without_a_frame_of_the_project_stays() -> None:
    raising: dict[str, Any] = {"__name__": "django.urls"}
    exec("def resolve():\n    raise LookupError", raising)
    error = error_of(lambda: client(raising["resolve"]))
    before = functions(error)
    # The client's caller is the test; below it there is nothing of the project.
    error.__traceback__ = error.__traceback__
    names = [frame for frame in before if frame.startswith("in_")]
    assert names == ["in_vinyl_web_testing_http_client"]
    assert not shorten(error)
    assert functions(error) == before


def test_causes_and_groups_are_shortened_too() -> None:
    def view() -> None:
        try:
            django(fail)
        except LookupError as cause:
            errors: list[Exception] = [ValueError("one")]
            raise ExceptionGroup("several", errors) from cause

    error = error_of(lambda: client(lambda: shop(view)))
    assert shorten(error)
    assert functions(error) == ["in_shop_views", "view"]
    assert error.__cause__ is not None
    assert functions(error.__cause__) == ["view", "fail"]


def test_errors_that_cause_each_other_come_to_an_end() -> None:
    def view() -> None:
        first, second = LookupError("first"), LookupError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    assert shorten(error_of(lambda: client(view)))


def test_frames_of_templates_stay() -> None:
    template: dict[str, Any] = {"__name__": "jinja2.x", "__jinja_exception__": None}
    exec("def top_level(call):\n    call()", template)
    error = error_of(
        lambda: client(lambda: django(lambda: template["top_level"](fail)))
    )
    assert shorten(error)
    assert functions(error) == ["top_level", "fail"]
