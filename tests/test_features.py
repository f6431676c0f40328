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


def rows() -> Iterator[list[str]]:
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "feature":
            yield cells


@cache
def defined_in(path: Path) -> set[str]:
    """The tests in a module: `test_name`, or `TestClass::test_name`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{name}" for name in functions(node.body)}
    return found | set(functions(ast.parse(path.read_text()).body))


def functions(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test_"):
                yield node.name


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row[0])
def test_what_is_claimed_has_a_test(row: list[str]) -> None:
    _, *answers, _, shown = row
    assert len(answers) == 3
    assert set(answers) <= {"yes", "partly", "no"}
    if answers[-1] == "no":
        assert shown == ""
        return
    found = re.fullmatch(r"`(tests/[\w/]+\.py)::([\w:]+)`", shown)
    assert found, f"{shown!r} names no test"
    assert found[2] in defined_in(ROOT / found[1])
