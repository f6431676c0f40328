"""coverage.py in a new project: each line that has run counts, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.project.terminal import new_project, run

pytest.importorskip("coverage")

VIEWS = """
import asyncio

from vinyl.orm import await_, connection, transaction
from vinyl.web import PlainTextResponse


def query():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        rows = cursor.fetchall()
    return rows


def plain(request):
    with transaction.atomic():
        rows = query()
        number = rows[0][0]
    if number == 2:
        raise LookupError  # not run
    await_(asyncio.sleep(0))
    text = f"plain {number}"
    return PlainTextResponse(text)


async def native(request):
    async with transaction.atomic():
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
            [number] = await cursor.fetchone()
    if number == 2:
        raise LookupError  # not run
    text = await asyncio.to_thread(in_thread, number)
    return PlainTextResponse(text)


def in_thread(number):
    text = "native"
    return f"{text} {number}"
"""

TESTS = """
import asyncio

from vinyl.orm import run

from mysite import views


async def test_views(client):
    response = await client.get("/plain/")
    assert response.text == "plain 1"
    response = await client.get("/native/")
    assert response.text == "native 1"
    if response.status_code != 200:
        raise LookupError  # not run
    rows = await run(views.query)
    assert rows
    await asyncio.sleep(0)
    assert len(rows) == 1
"""

URLS = """
from mysite import views
from vinyl.web import path

urlpatterns = [path("plain/", views.plain), path("native/", views.native)]
"""


def test_what_has_run_counts(tmp_path: Path, database_url: str | None) -> None:
    new_project(tmp_path)
    project = tmp_path / "mysite"
    sources = {
        "mysite/views.py": VIEWS,
        "mysite/urls.py": URLS,
        "tests/test_home.py": TESTS,
    }
    for name, source in sources.items():
        (project / name).write_text(source)

    printed = run(
        *("coverage", "run", "-m", "pytest", "-q"),
        cwd=project,
        database_url=database_url,
    )
    assert "1 passed" in printed
    assert "CoverageWarning" not in printed
    run("coverage", "json", "-q", cwd=project)

    report = json.loads((project / "coverage.json").read_text())["files"]
    for name, source in sources.items():
        lines = enumerate(source.splitlines(), 1)
        expected = [number for number, line in lines if re.search("# not run$", line)]
        assert report[name]["missing_lines"] == expected, name
