"""The pages that are asked for, and whether the answers are right."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.benchmarks.http.database import Row

__all__ = ["PAGES", "Page"]

GREETING = "Hello, World!"


@dataclass(frozen=True)
class Page:
    """What is asked for: *paths* in turn, each in the media type *kind*."""

    title: str
    paths: list[str]
    kind: str
    # What the body says, and what it has to say: from the body; from path and rows.
    read: Callable[[str], Any]
    expect: Callable[[str, list[Row]], Any]

    def check(self, contestant: str, client: httpx.Client, rows: list[Row]) -> None:
        """
        Raises:
            AssertionError: An answer of *contestant* is not what *rows* make it be.
        """
        for path in self.paths:
            response = client.get(path)
            kind = response.headers.get("content-type", "")
            assert response.status_code == 200, f"{contestant}: {path}: {response}"
            assert kind.startswith(self.kind), f"{contestant}: {path}: {kind}"
            found, wanted = self.read(response.text), self.expect(path, rows)
            assert found == wanted, f"{contestant}: {path}: {found!r}, not {wanted!r}"


def albums(path: str, rows: list[Row], count: int) -> list[dict[str, Any]]:
    first = int(path.rpartition("/")[2])
    return [
        {"id": row.id, "title": row.title, "year": row.year}
        for row in rows[first - 1 : first - 1 + count]
    ]


def cells(text: str) -> list[tuple[str, ...]]:
    """The texts of the table's cells, by row."""
    return [
        tuple(html.unescape(cell) for cell in re.findall("<td>(.*?)</td>", row))
        for row in re.findall("<tr>(.*?)</tr>", text, re.DOTALL)
        if "<td>" in row
    ]


PAGES = {
    "text": Page(
        "Plain text",
        ["/text"],
        "text/plain",
        read=str,
        expect=lambda path, rows: GREETING,
    ),
    "json": Page(
        "JSON",
        ["/json"],
        "application/json",
        read=json.loads,
        expect=lambda path, rows: {"message": GREETING},
    ),
    "one": Page(
        "One query",
        [f"/one/{pk}" for pk in range(1, 101)],
        "application/json",
        read=json.loads,
        expect=lambda path, rows: albums(path, rows, 1)[0],
    ),
    "twenty": Page(
        "Twenty queries",
        [f"/twenty/{pk}" for pk in range(1, 101, 20)],
        "application/json",
        read=json.loads,
        expect=lambda path, rows: albums(path, rows, 20),
    ),
    "list": Page(
        "JSON of 100 joined rows",
        ["/list"],
        "application/json",
        read=json.loads,
        expect=lambda path, rows: [row._asdict() for row in rows[:100]],
    ),
    "page": Page(
        "A page of 100 rows",
        ["/page"],
        "text/html",
        read=cells,
        expect=lambda path, rows: [tuple(map(str, row)) for row in rows[:100]],
    ),
}
