"""docs/reference/features.md claims only what a test shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "features.md"
TEST = r"`(tests/[\w/]+\.py)::([\w:]+)`"


def rows() -> Iterator[list[str]]:
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "feature":
            yield cells


@cache
def defined_in(path: Path) -> set[str]:
    """The tests in a module: `test_name`, or `TestClass::test_name`."""
    found = set()
    body = ast.parse(path.read_text()).body
    for node in body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{name}" for name in functions(node.body)}
    return found | set(functions(body))


def functions(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test_"):
                yield node.name


def test_the_page_has_rows() -> None:
    names = [row[0] for row in rows()]
    assert len(names) > 100
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row[0])
def test_what_is_claimed_has_a_test(row: list[str]) -> None:
    assert len(row) == 6
    _, django, starlette, vinyl, _, shown = row
    assert {django, starlette} <= {"yes", "partly", "no"}
    assert vinyl in {"yes", "partly", "no", "not yet"}
    if vinyl in {"no", "not yet"}:
        assert shown == ""
        return
    assert re.fullmatch(rf"{TEST}(, {TEST})*", shown), f"{shown!r} names no test"
    for module, name in re.findall(TEST, shown):
        assert name in defined_in(ROOT / module)
