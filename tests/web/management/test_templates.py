"""A project or an app is there as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management.commands.startproject import Command

from vinyl.web.management.templates import copy


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options of `vinyl startproject größe`, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return {
        "name": "größe",
        "directory": None,
        "template": None,
        "extensions": ["py"],
        "files": [],
        "exclude": [],
        "verbosity": 0,
    }


def written_and_interrupted(**options: Any) -> None:
    Command().handle(**options)
    assert [*Path.cwd().rglob("settings.py")]
    raise KeyboardInterrupt


def test_an_interrupted_project_is_removed(options: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        copy(written_and_interrupted, ["bare"], options)
    assert [*Path.cwd().iterdir()] == []


def test_other_files_of_the_folder_are_kept(options: dict[str, Any]) -> None:
    options["directory"] = "mine"
    notes = Path("mine", "static", "notes.txt")
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        copy(written_and_interrupted, ["bare", "example"], options)
    assert [path for path in Path.cwd().rglob("*") if path.is_file()] == [
        notes.absolute()
    ]


def test_a_refused_name_removes_nothing(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "manage.py").write_text("mine")
    monkeypatch.chdir(tmp_path / "inside")
    with pytest.raises(CommandError, match="is not a valid project name"):
        copy(Command().handle, ["bare"], options | {"name": ".."})
    assert (tmp_path / "manage.py").read_text() == "mine"
