"""The `vinyl` command: how it finds a project, and what it says of mistakes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.terminal import PATIENCE, environment, new_project, vinyl

SLOW = """
import asyncio
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    async def handle(self, *args, **options):
        try:
            self.stdout.write("Größe: started")
            self.stdout.flush()
            await asyncio.sleep(600)
        finally:
            self.stdout.write("tidied up")
"""


@pytest.mark.parametrize("command", ["migrate", "runserver"])
def test_an_unreachable_database_is_reported_briefly(
    tmp_path: Path, command: str
) -> None:
    new_project(tmp_path)
    # Port 9 (discard): nothing listens there.
    url = "postgres://ada:secret@127.0.0.1:9/shop"

    printed = vinyl(
        *([command, "--noreload", "0"] if command == "runserver" else [command]),
        cwd=tmp_path / "mysite",
        database_url=url,
        fails=True,
    )

    assert "127.0.0.1" in printed
    assert "Traceback" not in printed
    assert "secret" not in printed
    assert len(printed.strip().splitlines()) <= 15, printed


def test_a_bad_database_url_is_reported_briefly(tmp_path: Path) -> None:
    new_project(tmp_path)
    url = "postgres://ada:secret@localhost"

    printed = vinyl("check", cwd=tmp_path / "mysite", database_url=url, fails=True)

    assert "DATABASE_URL" in printed
    assert "Traceback" not in printed
    assert "secret" not in printed


def test_without_a_project_the_command_says_how_to_make_one(tmp_path: Path) -> None:
    printed = vinyl("migrate", cwd=tmp_path, fails=True)

    assert "There is no project here" in printed
    assert str(tmp_path) in printed
    assert "vinyl startproject" in printed
    assert len(printed.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[tool.vinyl", "is not valid TOML"),
        ("[tool.vinyl]\n", "whose `settings` is None"),
        ('[tool.vinyl]\nsettings = "nowhere.settings"', "'nowhere.settings' cannot be"),
    ],
    ids=["no TOML", "no settings", "settings that are not there"],
)
def test_a_faulty_pyproject_is_reported_briefly(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(content)

    printed = vinyl("check", cwd=tmp_path, fails=True)

    assert message in printed
    assert "Traceback" not in printed


def test_the_project_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    new_project(tmp_path)

    assert "no issues" in vinyl("check", cwd=tmp_path / "mysite" / "templates")


def test_help_shows_the_commands_in_groups(tmp_path: Path) -> None:
    new_project(tmp_path)
    printed = vinyl("help", cwd=tmp_path / "mysite")
    assert "Look\n    doctor  check  routes" in printed
    assert "makemigrations  migrate" in printed
    commands = vinyl("help", "--commands", cwd=tmp_path / "mysite").split()
    # Each is in a group, and only once.
    words = printed.split()
    assert [words.count(command) for command in commands] == [1] * len(commands)


def test_help_without_a_project_says_why_commands_are_missing(tmp_path: Path) -> None:
    printed = vinyl("help", cwd=tmp_path)
    assert "startproject" in printed
    assert "There is no project here" in printed


def test_an_unknown_command_gets_a_suggestion(tmp_path: Path) -> None:
    new_project(tmp_path)
    printed = vinyl("migrat", cwd=tmp_path / "mysite", fails=True)
    assert "Unknown command: 'migrat'. Did you mean migrate?" in printed


@pytest.mark.parametrize(
    ("sent", "code", "message"),
    [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_signal_ends_a_command_without_a_traceback(
    tmp_path: Path, sent: signal.Signals, code: int, message: str
) -> None:
    project = new_project(tmp_path)
    vinyl("startapp", "shop", cwd=project)
    settings = project / "mysite" / "settings.py"
    settings.write_text(f"{settings.read_text()}\nINSTALLED_APPS += ['shop']\n")
    commands = project / "shop" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "slow.py").write_text(SLOW, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "vinyl", "slow"],
        cwd=project,
        # The terminal's encoding is ASCII.
        env={**environment(), "LC_ALL": "C", "PYTHONUTF8": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Gr\\xf6\\xdfe: started\n"
        process.send_signal(sent)
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert printed == f"tidied up\n\n{message}\n"


def test_the_test_command_runs_pytest_with_its_options(tmp_path: Path) -> None:
    printed = vinyl("test", "-q", "--co", cwd=new_project(tmp_path))
    assert "tests/test_home.py::test_the_front_page_answers" in printed
