"""`configure()` and `lifespan()`, in processes that have no settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.postgres import empty_database
from vinyl.orm import configure


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield "sqlite:///db.sqlite3"
        return
    with empty_database(request.getfixturevalue("postgres_url")) as url:
        yield url


def script(folder: Path, code: str, *args: str) -> list[str]:
    """The lines that *code* prints as the script `notes.py` in *folder*."""
    (folder / "notes.py").write_text(code)
    env = {name: value for name, value in os.environ.items() if "DJANGO" not in name}
    done = subprocess.run(
        [sys.executable, "-W", "error", "notes.py", *args],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


IN_BOTH_MODES = """
import asyncio, os, sys, threading
from vinyl.orm import configure, connections, lifespan, models, run
configure(
    {"default": sys.argv[1], "other": "sqlite://:memory:"},
    apps=[__name__, "django.contrib.contenttypes"],
    TIME_ZONE="Europe/Paris",
)
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from vinyl.orm.pools.registry import pool_for

class Note(models.Model):
    text = models.TextField()

call_command("migrate", run_syncdb=True, verbosity=0)
Note.objects.create(text="sync")
connections.close_all()

async def main():
    async with lifespan():
        await asyncio.gather(*(Note.objects.create(text=c) for c in "ab"))
        print(sorted([note.text async for note in Note.objects.all()]))
        await run(ContentType.objects.get_for_model, Note)
        pool = pool_for("default")
        print(bool(pool.idle))
    print(bool(pool.idle), pool.closed)

asyncio.run(main())
print(Note._meta.db_table, settings.TIME_ZONE)
"""

MISTAKES = """
from django.core.exceptions import ImproperlyConfigured
from vinyl.orm import configure

GIVEN = [
    (("mysql://localhost/x",), {}),
    (("sqlite:///x",), {"apps": ["shpo"]}),
    (("sqlite:///x",), {"apps": ["shpo.apps.ShopConfig"]}),
    (("sqlite:///x",), {"apps": "shop"}),
    (("sqlite:///x",), {"INSTALLED_APPS": []}),
    (("sqlite:///x",), {"time_zone": "UTC"}),
    (({"other": "sqlite:///x"},), {}),
]
for args, options in GIVEN:
    try:
        configure(*args, **options)
    except (ImproperlyConfigured, TypeError) as error:
        print(type(error).__name__, error)
# What failed has left nothing behind.
configure("sqlite:///x")
try:
    configure("sqlite:///x")
except ImproperlyConfigured as error:
    print(error)
"""


def test_a_script_with_models_of_its_own(tmp_path: Path, url: str) -> None:
    printed = script(tmp_path, IN_BOTH_MODES, url)
    assert printed == [
        "['a', 'b', 'sync']",
        "True",
        "False True",
        "notes_note Europe/Paris",
    ]


def test_mistakes_are_explained(tmp_path: Path) -> None:
    printed = script(tmp_path, MISTAKES)
    for line, expected in zip(
        printed,
        [
            "begins with mysql://, for which vinyl has no backend",
            "the app 'shpo', but there is no module of this name",
            "the app 'shpo.apps.ShopConfig', but there is no module",
            "TypeError configure() was given apps='shop', which is one string",
            "INSTALLED_APPS, which it sets itself. Pass apps= instead.",
            "Write TIME_ZONE= if you mean a setting.",
            "was given the databases ['other'], but Django needs one that is called",
            "has been configured already, by an earlier call",
        ],
        strict=True,
    ):
        assert expected in line


def test_a_project_with_settings_is_not_configured_again() -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"from the settings module 'tests\.settings'"
    ):
        configure("sqlite:///x")
