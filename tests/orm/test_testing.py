"""The pytest plugin of the ORM, in a test run of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

SETUP = """
import asyncio
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django

django.setup()
from tests.records.models import Album, Artist
"""
TESTS = """
async def awaits_what_is_there():
    album = Album(artist=Artist(name="Nina"))
    await album.artist


def test_awaits_what_is_there():
    asyncio.run(awaits_what_is_there())


async def forgets():
    call = Album(title="Pastel Blues").save()


def test_forgets():
    asyncio.run(forgets())


def test_is_fine():
    pass
"""


def test_forgotten_calls_fail_and_needless_awaits_are_explained(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["vinyl.orm.testing"]\n')
    (tmp_path / "test_it.py").write_text(SETUP + textwrap.dedent(TESTS))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "2 failed, 1 passed" in found.stdout
    assert "Write `await fetch(album, 'artist')`" in found.stdout
    assert "coroutine 'Album.save' was never awaited" in found.stdout
