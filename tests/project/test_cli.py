"""The `vinyl` command: how it finds a project, and what it says of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.terminal import new_project, vinyl


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
