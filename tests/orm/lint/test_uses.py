"""The expressions that source code uses as values."""

from __future__ import annotations

import ast

import pytest

from vinyl.orm.lint.uses import uses_in


def uses(code: str) -> set[tuple[str, str]]:
    """The code and the way of each use in *code*, a statement."""
    return {
        (ast.unparse(use.node), use.way)
        for node in ast.walk(ast.parse(code))
        for use in uses_in(node)
    }


@pytest.mark.parametrize(
    ("code", "use"),
    [
        ("if x: pass", ("x", "rows")),
        ("for y in x: pass", ("x", "rows")),
        ("len(x)", ("x", "rows")),
        ("f'{x}'", ("x", "rows")),
        ("f'{x!r}'", ("x", "alone")),
        ("x == 1", ("x", "value")),
        ("x is None", ("x", "is")),
        ("isinstance(x, str)", ("x", "tested")),
        ("x.name", ("x", ".name")),
        ("hasattr(x, 'name')", ("x.name", "tested")),
        ("with x: pass", ("x", "with")),
        ("y.filter(a=x)", ("x", "argument")),
        ("x", ("x", "alone")),
    ],
)
def test_a_use_and_its_way(code: str, use: tuple[str, str]) -> None:
    assert use in uses(code)


@pytest.mark.parametrize("code", ["y = x", "f(x)", "[x]", "async def f(): return x"])
def test_passing_a_value_on_is_not_a_use(code: str) -> None:
    assert "x" not in {name for name, _ in uses(code)}
