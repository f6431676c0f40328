"""`scripts/bench orm`: that what it compares does the same, and that it says so."""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.orm import __main__ as benchmark
from tests.benchmarks.orm.contestants import CONTESTANTS, RAW, Entrant
from tests.benchmarks.orm.database import Database, PostgreSQL, SQLite
from tests.benchmarks.orm.processes import Failed, Measured, Process, agree, running
from tests.benchmarks.orm.report import Results
from tests.benchmarks.orm.workloads import WORKLOADS
from tests.postgres import empty_database

# Those that need nothing but what the tests have.
HERE = [key for key in CONTESTANTS if key.startswith(("vinyl", "psycopg"))]
HERE += ["django", "django-async"]
POOL_SIZE = 4


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Database]]:
    """The name and the filled tables of each database."""
    if request.param == "sqlite":
        yield "sqlite", SQLite(tmp_path_factory.mktemp("orm") / "bench.sqlite3")
    else:
        with empty_database(request.getfixturevalue("postgres_url")) as url:
            yield "postgresql", PostgreSQL(url)


@pytest.fixture(scope="module")
def reference(database: tuple[str, Database]) -> Iterator[Process]:
    name, tables = database
    entrant = CONTESTANTS[RAW[name]]
    if entrant.missing:
        pytest.skip(f"{entrant.title} needs {entrant.missing}")
    with running(entrant, tables, POOL_SIZE, "asyncio") as process:
        yield process


@pytest.mark.parametrize("key", HERE)
def test_a_contestant_returns_and_writes_what_the_driver_does(
    key: str, database: tuple[str, Database], reference: Process
) -> None:
    name, tables = database
    entrant = CONTESTANTS[key]
    if name not in entrant.databases:
        pytest.skip(f"{entrant.title} is for PostgreSQL only")
    with running(entrant, tables, POOL_SIZE, "asyncio") as process:
        for workload in WORKLOADS:
            # The first two make a plan, which the third one uses.
            agree(reference, process, tables, workload, operations=3)


@pytest.mark.parametrize("key", ["sqlite3", "vinyl"])
def test_a_load_counts_what_its_tasks_did(key: str, tmp_path: Path) -> None:
    tables = SQLite(tmp_path / "bench.sqlite3")
    with running(CONTESTANTS[key], tables, POOL_SIZE, "asyncio") as process:
        measured = process.load("insert", tasks=2, seconds=0.2)
    inserted = sum(row[0] == "entry" for row in tables.written())
    assert measured.cpu > 0
    # Each task has inserted one before its time began. It ended a little later.
    assert 0 < measured.rate <= (inserted - 2) / 0.2


def test_other_results_are_a_failure_that_shows_both(tmp_path: Path) -> None:
    paths = tmp_path / "right.sqlite3", tmp_path / "wrong.sqlite3"
    right, wrong = map(SQLite, paths)
    with closing(sqlite3.connect(paths[1])) as connection, connection:
        connection.execute("UPDATE album SET title = 'Another'")
    with ExitStack() as stack:
        expected, found = (
            stack.enter_context(running(CONTESTANTS["sqlite3"], it, 1, "asyncio"))
            for it in (right, wrong)
        )
        agree(expected, found, right, "exists", operations=1)
        with pytest.raises(Failed, match=r"returned .*'Another'.* instead of .*'Album"):
            agree(expected, found, right, "get", operations=1)
        with pytest.raises(Failed, match="wrote other rows"):
            agree(expected, found, right, "update", operations=2)


@pytest.mark.parametrize("key", ["sqlite3", "vinyl"])
def test_an_error_is_a_failure_and_the_contestant_goes_on(
    key: str, tmp_path: Path
) -> None:
    tables = SQLite(tmp_path / "bench.sqlite3")
    with closing(sqlite3.connect(tmp_path / "bench.sqlite3")) as connection:
        connection.execute("DROP TABLE track")
    with running(CONTESTANTS[key], tables, POOL_SIZE, "asyncio") as process:
        with pytest.raises(Failed, match="OperationalError: no such table: track"):
            process.load("stream20k", tasks=2, seconds=0.1)
        assert process.load("get", tasks=2, seconds=0.1).rate > 0


def given(**options: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"database": "sqlite", **options})


def test_a_contestant_whose_package_is_not_installed_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entrant = Entrant("An ORM", "an_orm", needs=("sqlite3", "no_such_package"))
    monkeypatch.setitem(CONTESTANTS, "an-orm", entrant)
    found = benchmark.entrants(given(contestants=["vinyl", "an-orm"]))
    assert list(found) == ["vinyl"]
    said = capsys.readouterr().out
    assert said == "Missing: An ORM, because no_such_package is not installed.\n"


def test_ratios_are_of_each_round_and_rivals_are_other_orms() -> None:
    results = Results("postgresql", "asyncio", 8)
    rates = {
        "vinyl": [100, 20, 300],
        "psycopg": [400, 100, 900],
        "django": [50, 10, 100],
        "peewee": [40, 8, 90],
    }
    for key, values in rates.items():
        results.rounds["get", key] = [Measured(rate, 1e6 / rate) for rate in values]
    assert results.rivals("get") == ["django", "peewee"]
    assert results.fastest_rival("get") == results.cheapest_rival("get") == "django"
    assert results.ratio("get", "vinyl", "django") == 2
    assert results.ratio("get", "vinyl", "psycopg") == 0.25
    assert results.cheaper("get", "vinyl", "psycopg") == 0.25
    assert results.ratio("get", "vinyl", "oxyde") is None


def test_the_whole_benchmark_prints_tables_and_writes_json(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    command = [sys.executable, "-m", "tests.benchmarks.orm", "--database", "sqlite"]
    command += ["--contestants", "vinyl", "django", "--workloads", "get", "gather20"]
    command += ["--rounds", "1", "--seconds", "0.05", "--tasks", "1", "3"]
    done = subprocess.run(
        [*command, "--json", str(path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for title in ("## 1 tasks", "## 3 tasks", "| gather20 |", "÷ best rival"):
        assert title in done.stdout
    results = json.loads(path.read_text())["results"]
    assert [it["tasks"] for it in results] == [1, 3]
    assert all(it["workloads"]["get"]["vinyl"]["rate"] > 0 for it in results)
