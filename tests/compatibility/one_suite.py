"""
Run the tests of a package in one mode: `one_suite MODE FOLDER OUTPUT [ARGUMENT...]`.

The package's own settings are used, with vinyl's backend and app unless MODE is
`stock`. In the mode `loop` the whole run is in the bridge. The arguments are pytest's.
If SUITE_POSTGRES_URL names a PostgreSQL server, its databases take the place of those
in the settings.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest


class Outcomes:
    """A plugin of pytest that notes which tests passed."""

    def __init__(self) -> None:
        self.noted: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.nodeid not in self.noted or report.when == "call":
            known = self.noted.get(report.nodeid)
            if known != "failed":
                self.noted[report.nodeid] = report.outcome


def change_settings(*, vinyl: bool, server: str) -> None:
    """
    Change the settings that a package has for its tests, whatever sets them.

    Args:
        vinyl: Use vinyl's app and backends.
        server: The PostgreSQL whose databases to use; "" for those of the settings.
    """
    from django.apps import apps
    from django.conf import settings

    populate = apps.populate
    # Not again where a test overrides INSTALLED_APPS: it may count the apps.
    is_first = True

    def populate_changed(installed_apps: Iterable[str] = ()) -> None:
        nonlocal is_first
        if is_first and server:
            for alias in settings.DATABASES:
                settings.DATABASES[alias] = database_at(server, alias)
        if is_first and vinyl and "vinyl.orm" not in installed_apps:
            # A test may add to them, as to the list or tuple that they are.
            kind: Any = type(installed_apps)
            installed_apps = kind(["vinyl.orm", *installed_apps])
            settings.INSTALLED_APPS = installed_apps
            for database in settings.DATABASES.values():
                engine = database.get("ENGINE", "")
                database["ENGINE"] = engine.replace("django.db.", "vinyl.orm.")
        is_first = False
        populate(installed_apps)

    vars(apps)["populate"] = populate_changed


def database_at(server: str, alias: str) -> dict[str, Any]:
    """
    The entry of DATABASES for a database of *server*, which is made if need be. Its
    name begins with that of the database in *server*.
    """
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(server)
    # Code may connect before the tests have a database of their own.
    name = f"{parts.get('dbname')}_{alias}"
    with psycopg.connect(server, autocommit=True) as connection:
        found = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
        if found is None:
            create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            connection.execute(create)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": parts.get("user"),
        "PASSWORD": parts.get("password"),
        "HOST": parts.get("host"),
        "PORT": parts.get("port"),
    }


def main(mode: str, folder: str, output: str, *arguments: str) -> None:
    path = Path(output).resolve()
    os.chdir(folder)
    # In place of the folder of this file: packages have a module `tests`, as vinyl has.
    sys.path[0] = str(Path.cwd())
    sys.path.append(str(Path(__file__).with_name("suite_settings")))
    outcomes: Any = Outcomes()
    server = os.environ.pop("SUITE_POSTGRES_URL", "")
    change_settings(vinyl=mode != "stock", server=server)
    options = ["-p", "no:cacheprovider", "-q", "-W", "ignore", "-o", "addopts="]
    options += ["-o", "python_files=test_*.py tests.py *_tests.py"]

    def run_tests() -> None:
        pytest.main([*options, *arguments], plugins=[outcomes])

    if mode == "loop":
        from vinyl.bridge.greenlets import run

        asyncio.run(run(run_tests))
    else:
        run_tests()
    path.write_text(json.dumps(outcomes.noted))
    sys.stdout.flush()
    # Threads that a test left behind must not keep the process from ending.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
