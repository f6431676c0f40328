"""Commands with wrong input: a clear message and exit code, nothing half-done."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.project.terminal import PATIENCE, environment, new_project, vinyl

# Runs each of the command lines, and prints the exit code and the output of each.
RUN_ALL = """
import contextlib, io, json, sys
from vinyl.cli import main

results = []
for arguments in json.loads(sys.argv[1]):
    printed = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main(["vinyl", *arguments])
        except SystemExit as end:
            code = end.code or 0
    results.append([code, printed.getvalue()])
print(json.dumps(results))
"""


class Case(NamedTuple):
    arguments: list[str]
    message: str
    code: int = 1


A_PROJECT = [
    Case(["startproject", "class"], "'class' is a keyword of Python"),
    Case(["startproject", "my site"], "'my site' is not a valid project name"),
    Case(["startproject", ".."], "'..' is not a valid project name"),
    Case(["startproject"], "You must provide a project name", 2),
    Case(["startapp", "b log"], "'b log' is not a valid app name"),
    Case(["startapp", "tests"], "cannot be the name of the package"),
    Case(["check", "nope"], "No installed app with label 'nope'."),
    Case(["check", "--nope"], "unrecognized arguments: --nope", 2),
    Case(["nope"], "Unknown command: 'nope'"),
    Case(["help", "migrat"], "Did you mean migrate?"),
    Case(["runserver", "nope"], '"nope" is not a valid port'),
    Case(["runserver", "--noreload", "--fd", "99"], "99 of --fd is not an open socket"),
    Case(["runserver", "--workers", "0"], "--workers is 0"),
    Case(["sqlmigrate", "sessions", "9"], "Cannot find a migration matching '9'"),
    Case(["dumpdata", "-o", "no/folder.json"], "/no cannot be written to"),
    Case(["dumpdata", "auth.nope"], "Unknown model: auth.nope"),
    # Before the first `migrate`.
    Case(["clearsessions"], "A table is missing. `vinyl migrate` creates"),
    Case(["changepassword", "ada"], "A table is missing. `vinyl migrate` creates"),
    Case(["migrate", "nope"], "No installed app with label 'nope'."),
    Case(["migrate", "--database", "nope"], "invalid choice: 'nope'", 2),
    Case(["migrate"], "Applying sessions.0001_initial... OK", 0),
    Case(["changepassword", "ada"], "user 'ada' does not exist"),
    Case(["createsuperuser", "--noinput"], "You must use --username"),
    Case(["loaddata", "nope"], "No fixture named 'nope' found."),
    Case(["loaddata", "field.json"], "has no field named 'nope'\n\nNothing has been"),
    Case(["loaddata", "model.json"], "Invalid model identifier: nope.user\n\nNothing"),
    Case(["loaddata", "cut.json"], "property name enclosed in double quotes: line 2"),
    Case(["loaddata", "twice.json"], "Could not load auth.Group(pk=2): UNIQUE"),
    # Nothing of it has been loaded.
    Case(["dumpdata", "auth.group"], "[]", 0),
    Case(["flush"], "there is no terminal that could answer"),
    Case(["collectstatic", "--noinput"], "/sys/nope cannot be used: "),
]

FIXTURES = {
    "field": '[{"model": "auth.group", "fields": {"nope": 1}}]',
    "model": '[{"model": "nope.user", "fields": {}}]',
    "cut": '[{"model": "auth.group", \n',
    "twice": json.dumps(
        [{"model": "auth.group", "pk": n, "fields": {"name": "ä"}} for n in (1, 2)]
    ),
}


def test_each_command_says_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "Prüf stück"
    folder.mkdir()
    project = new_project(folder)
    for name, text in FIXTURES.items():
        (project / f"{name}.json").write_text(text, encoding="utf-8")
    with (project / "mysite" / "settings.py").open("a") as settings:
        # Where nobody may create a folder, not even root.
        settings.write('\nSTATIC_ROOT = "/sys/nope"\n')
    before = sorted(project.rglob("*.py"))

    for case, (code, printed) in zip(A_PROJECT, run_all(project), strict=True):
        assert case.message in printed, case
        assert "Traceback" not in printed, case
        assert code == case.code, (case, printed)
        assert len(printed.splitlines()) <= 35, (case, printed)

    assert sorted(project.rglob("*.py")) == before
    assert not [*project.parent.glob("*.py")]


def run_all(project: Path) -> list[tuple[int, str]]:
    commands = json.dumps([case.arguments for case in A_PROJECT])
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, commands],
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    results: list[tuple[int, str]] = json.loads(done.stdout)
    return results


def test_a_full_disk_is_reported_briefly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vinyl", "startproject", "mysite"],
        cwd=tmp_path,
        env=environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert "File too large" in done.stdout
    assert len(done.stdout.splitlines()) == 1, done.stdout
    assert done.returncode == 1
    assert [*tmp_path.iterdir()] == []


def test_a_name_that_is_not_ascii_works(tmp_path: Path) -> None:
    vinyl("startproject", "größe", cwd=tmp_path)
    project = tmp_path / "größe"
    vinyl("startapp", "übung", cwd=project)
    assert "no issues" in vinyl("check", cwd=project)
    # A name of a distribution, which has to be ASCII.
    assert 'name = "groe"' in (project / "pyproject.toml").read_text()


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "vinyl", "routes"],
        cwd=new_project(tmp_path),
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141
