"""Commands with wrong input: a clear message and exit code, nothing half-done."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

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
    Case(["createsuperuser"], "No superuser was created: the command asks for a name"),
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

# They show the help, or the version, whatever follows.
SHOWING = {"help", "test", "version"}

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

    results = run_all(project, [case.arguments for case in A_PROJECT])
    for case, (code, printed) in zip(A_PROJECT, results, strict=True):
        assert case.message in printed, case
        assert "Traceback" not in printed, case
        assert code == case.code, (case, printed)
        assert len(printed.splitlines()) <= 35, (case, printed)

    assert sorted(project.rglob("*.py")) == before
    assert not [*project.parent.glob("*.py")]


def run_all(
    project: Path, commands: list[list[str]], database_url: str | None = None
) -> list[tuple[int, str]]:
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(commands)],
        cwd=project,
        env=environment(database_url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    results: list[tuple[int, str]] = json.loads(done.stdout)
    return results


# All commands, with the arguments that they need, and the exit code where the database
# cannot be reached; None where it is that of another program.
COMMANDS: dict[str, tuple[list[str], int | None]] = {
    "changepassword": (["ada"], 1),
    "check": ([], 0),
    "clearsessions": ([], 1),
    "collectstatic": (["--noinput", "--dry-run"], 0),
    "compilemessages": (["--locale", "de"], 1),
    "completion": (["bash"], 0),
    "createcachetable": (["cached"], 1),
    "createsuperuser": ([], 1),
    "dbshell": ([], None),
    "diffsettings": ([], 0),
    "doctor": ([], 1),
    "dumpdata": ([], 1),
    "findstatic": (["site.css"], 0),
    "flush": (["--noinput"], 1),
    "help": ([], 0),
    "inspectdb": ([], 1),
    "loaddata": (["nope"], 1),
    "makemessages": ([], 1),
    "makemigrations": (["auth"], 0),
    "migrate": ([], 1),
    "optimizemigration": (["sessions", "0001"], 0),
    "remove_stale_contenttypes": (["--noinput"], 1),
    "routes": ([], 0),
    "runserver": (["--noreload", "0"], 1),
    "sendtestemail": (["ada@example.org"], 0),
    "shell": (["-c", "1"], 0),
    "showmigrations": ([], 1),
    "sqlflush": ([], 1),
    "sqlmigrate": (["sessions", "0001"], 1),
    "sqlsequencereset": (["auth"], 0),
    # Not with a migration that there is: it would write into the package.
    "squashmigrations": (["--noinput", "sessions", "9999"], 1),
    "startapp": (["class"], 1),
    "startproject": (["class"], 1),
    "test": (["--django"], 1),
    "testserver": (["--noinput", "nope"], 1),
    "version": ([], 0),
    "watchmodels": (["auth"], 1),
}


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix not in ("", ".pyc"))


def test_every_command_reports_a_wrong_option_and_a_database_that_is_away(
    tmp_path: Path,
) -> None:
    project = new_project(tmp_path)
    commands = [["help", "--commands"]]
    all_ = [[name, *arguments] for name, (arguments, _) in COMMANDS.items()]
    commands += [[*command, "--nope"] for command in all_ if command[0] not in SHOWING]
    commands += all_
    # Port 9 (discard): nothing listens there.
    url = "postgres://ada:secret@127.0.0.1:9/shop"
    before = files_of(project)
    results = run_all(project, commands, url)

    (_, names), *results = results
    assert sorted(COMMANDS) == sorted([*names.split(), "help", "version"])
    for command, (code, printed) in zip(commands[1:], results, strict=True):
        assert "Traceback" not in printed, printed
        if command[-1] == "--nope":
            assert code == 2, printed
            assert "unrecognized arguments: --nope" in printed, (command, printed)
        else:
            expected = COMMANDS[command[0]][1]
            assert code == expected or expected is None, (command, printed)
            assert code == 0 or len(printed.splitlines()) < 16, (command, printed)
            assert "secret@" not in printed, (command, printed)
    assert files_of(project) == before


@pytest.mark.parametrize("name", ["settings.py", "urls.py"])
def test_a_file_that_is_not_python_is_named(tmp_path: Path, name: str) -> None:
    project = new_project(tmp_path)
    file = project / "mysite" / name
    file.write_text(f"{file.read_text()}\nsongs = [1, 2\n")
    printed = vinyl("check", cwd=project, fails=True)
    number = len(file.read_text().splitlines())
    assert printed.startswith(f"{file}, line {number}, is not valid Python: '[' was")
    assert "\n    songs = [1, 2\n" in printed
    assert "Traceback" not in printed
    assert "Traceback" in vinyl("check", "--traceback", cwd=project, fails=True)


def test_a_migration_that_depends_on_none_is_reported_briefly(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    vinyl("startapp", "shop", cwd=project)
    settings = project / "mysite" / "settings.py"
    settings.write_text(f"{settings.read_text()}\nINSTALLED_APPS += ['shop']\n")
    (project / "shop" / "migrations" / "0002_next.py").write_text(
        "from django.db import migrations\n\n\n"
        "class Migration(migrations.Migration):\n"
        "    dependencies = [('shop', '0001_initial')]\n"
    )
    printed = vinyl("migrate", cwd=project, fails=True)
    assert "'0001_initial'" in printed
    assert "The migrations do not fit together." in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("settings", [None, "nowhere.settings"])
def test_no_output_and_no_settings_are_no_error(
    tmp_path: Path, settings: str | None
) -> None:
    env = environment() | ({"DJANGO_SETTINGS_MODULE": settings} if settings else {})
    done = subprocess.run(
        ["sh", "-c", '"$0" -m vinyl completion bash >&-', sys.executable],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_cannot_be_written_is_reported_briefly(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "vinyl", "help"],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


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
