"""docs/reference/admin-options.md has a decision for every option of Django's admin."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import django.contrib.admin
import pytest
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.options import BaseModelAdmin, InlineModelAdmin

from tests.test_features import ROOT, TEST, defined_in
from vinyl.web import admin
from vinyl.web.admin.overrides import UNUSED

PAGE = ROOT / "docs" / "reference" / "admin-options.md"
CLASSES = (BaseModelAdmin, ModelAdmin, InlineModelAdmin, AdminSite)
DJANGOS = Path(django.contrib.admin.__file__).parent / "templates"
OWN = Path(admin.__file__).parent / "templates"
BLOCK = r"{%-?\s*block ([\w-]+)"

# What later versions of Django have, or earlier ones had.
OF_OTHER_VERSIONS = {"delete_confirmation_max_display", "password_change_form"}


def sections() -> dict[str, list[list[str]]]:
    """By heading, the rows of the page's tables."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
            found[heading] = []
        elif line.startswith("| ") and heading:
            found[heading].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def decided() -> Iterator[tuple[type, list[str]]]:
    """Each class with the rows about its options."""
    tables = sections()
    for cls in CLASSES:
        [rows] = [
            r for heading, r in tables.items() if f"(`{cls.__name__}`)" in heading
        ]
        yield cls, rows[1:]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("cls", "rows"), [*decided()], ids=lambda x: getattr(x, "__name__", "")
)
def test_every_option_has_a_decision(cls: type, rows: list[list[str]]) -> None:
    listed = [name for row in rows for name in names(row[0])]
    assert len(listed) == len(set(listed))
    options = {
        name
        for name, value in vars(cls).items()
        if not name.startswith("_") and not inspect.isfunction(value)
    }
    # What a class only gives another value has its row where it begins.
    inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
    assert set(listed) - OF_OTHER_VERSIONS <= options
    assert options - inherited - set(listed) == set()


@pytest.mark.parametrize(
    "row", [row for _, rows in decided() for row in rows], ids=lambda row: row[0]
)
def test_each_decision_names_a_test(row: list[str]) -> None:
    _, decision, _, shown = row
    assert decision == "yes"
    assert re.fullmatch(rf"{TEST}(, {TEST})*", shown), f"{shown!r} names no test"
    for module, name in re.findall(TEST, shown):
        assert name in defined_in(ROOT / module)


# ----- Templates


def templates() -> list[str]:
    return sorted(
        path.relative_to(DJANGOS).as_posix()
        for path in DJANGOS.rglob("admin/**/*.html")
    )


def blocks_of(name: str) -> set[str]:
    source = (OWN / name).read_text()
    parent = re.search(r'{% extends "([^"]+)"', source)
    above = blocks_of(parent[1]) if parent else set()
    return above | set(re.findall(BLOCK, source))


def test_templates_that_are_not_used_are_listed() -> None:
    rows = sections()["Templates"][1:]
    assert {name for row in rows for name in names(row[0])} == set(UNUSED)
    missing = {name for name in templates() if not (OWN / name).exists()}
    assert missing <= set(UNUSED)
    assert not [name for name in UNUSED if (OWN / name).exists()]


@pytest.mark.parametrize("name", sorted(set(templates()) - set(UNUSED)))
def test_blocks_that_do_not_exist_are_listed(name: str) -> None:
    rows = [row for row in sections()["Blocks"][1:] if name in names(row[0])]
    listed = {block for row in rows for block in names(row[1])}
    djangos = re.findall(BLOCK, (DJANGOS / name).read_text())
    wanted = {block.replace("-", "_") for block in djangos}
    own = blocks_of(name)
    if name != "admin/base.html":
        # The page lists it once, for all pages.
        listed |= {
            b
            for row in sections()["Blocks"][1:]
            if "`admin/base.html`" in row[0]
            for b in names(row[1])
        }
    assert wanted - own - listed == set()
    assert not listed & own
