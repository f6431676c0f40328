"""
The time that pytest takes for the tests of a project with vinyl's plugin alone, with
pytest-django beside it, and with pytest-django alone, which has no async tests that
roll back:

    python -m tests.benchmarks.suite_of_a_project [DATABASE_URL]

Each is the median of five runs, which take turns. The time is that of the CPU, of
pytest and its children, not of PostgreSQL. Nothing else is to run meanwhile.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.project.terminal import environment, new_project

ROUNDS = 5
NUMBER = 300

SYNC = f"""
import pytest
from django.contrib.auth.models import User


@pytest.mark.parametrize("turn", range({NUMBER}))
def test_plain(db, turn):
    assert not User.objects.exists()
    User.objects.create_user("nina")
    assert User.objects.get().username == "nina"
"""
ASYNC = f"""
import pytest
from django.contrib.auth.models import User


@pytest.mark.parametrize("turn", range({NUMBER}))
async def test_async(db, turn):
    assert not await User.objects.exists()
    await User.objects.create_user("nina")
    assert (await User.objects.get()).username == "nina"
"""

WAYS = {
    "vinyl's plugin": ["-p", "no:django"],
    "with pytest-django": ["-p", "pytest_django"],
    "pytest-django alone": ["-p", "pytest_django", "-p", "no:vinyl.pytest_plugin"],
}


def seconds(folder: Path, options: list[str], url: str | None) -> float:
    """CPU time of one run of the tests in *folder*."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=environment(url) | {"DJANGO_SETTINGS_MODULE": "mysite.settings"},
        capture_output=True,
        text=True,
    )
    after = os.times()
    if done.returncode or not re.search(rf"\b{NUMBER} passed", done.stdout):
        raise SystemExit(done.stdout + done.stderr)
    return (
        after.children_user
        + after.children_system
        - before.children_user
        - before.children_system
    )


def main(url: str | None) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = new_project(Path(place))
        config = folder / "pyproject.toml"
        plain = re.sub("addopts = .*\n", "", config.read_text())
        config.write_text(plain)
        for name, source in (("plain", SYNC), ("async", ASYNC)):
            for file in (folder / "tests").glob("test_*.py"):
                file.unlink()
            (folder / "tests" / "test_it.py").write_text(source)
            # Async tests of pytest-django alone would leave rows, and fail.
            ways = list(WAYS)[: 3 if name == "plain" else 2]
            taken: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way in ways:
                    taken[way].append(seconds(folder, WAYS[way], url))
            for way in ways:
                time = statistics.median(taken[way])
                sys.stdout.write(f"{NUMBER} {name} tests, {way}: {time:.2f} s\n")


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else None)
