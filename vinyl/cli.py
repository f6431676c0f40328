"""
The `vinyl` command: Django's management commands and vinyl's own. It finds the settings
and explains common mistakes in a few lines.
"""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import (
    ManagementUtility,
    get_commands,
    load_command_class,
)
from django.core.management.base import BaseCommand
from django.core.management.color import color_style

import vinyl
from vinyl.explanations import explain

__all__ = ["find_settings", "main"]

# The commands that replace Django's, with or without settings, and whatever the order
# of INSTALLED_APPS.
OWN = frozenset(
    {"completion", "routes", "runserver", "startapp", "startproject", "test"}
)
# The commands of Django and vinyl, as `vinyl help` shows them.
GROUPS = {
    "Start": "startproject startapp",
    "Run": "runserver shell dbshell test testserver",
    "Look": "doctor check routes diffsettings showmigrations findstatic",
    "Change the database": (
        "makemigrations migrate sqlmigrate squashmigrations optimizemigration flush "
        "sqlflush sqlsequencereset inspectdb createcachetable watchmodels"
    ),
    "Data": "loaddata dumpdata remove_stale_contenttypes clearsessions",
    "Users": "createsuperuser changepassword",
    "Files and translations": "collectstatic makemessages compilemessages",
    "Mail": "sendtestemail",
    "Terminal": "completion",
}
# Commands of Django that vinyl replaces, unless another app does.
REPLACED = {"createsuperuser": "django.contrib.auth"}
WITHOUT_SETTINGS = frozenset(
    {"completion", "help", "startapp", "startproject", "version"}
)


def main(argv: list[str] | None = None) -> None:
    """
    Run the management command in *argv*.

    The settings module is that of `--settings` or `DJANGO_SETTINGS_MODULE`, or else the
    one that `[tool.vinyl]` names in the nearest `pyproject.toml`, in the working
    directory or above, where `configure` may name a module that calls
    `vinyl.orm.configure()` instead. The folder of that file comes first on the import
    path.

    Args:
        argv: The command line, starting with the program; None for `sys.argv`.

    Raises:
        SystemExit: The command failed. The status is 1 after an error message, and 2
            after a usage message.
        Exception: Any other error of the command, and every error with `--traceback`.

    Never switches, unless the command runs an event loop.
    """
    argv = list(sys.argv if argv is None else argv)
    _print_any_text()
    if Path(argv[0]).name in ("__main__.py", "vinyl.exe"):
        argv[0] = "vinyl"
    if argv[1:2] in (["--version"], ["version"]):
        sys.stdout.write(
            f"vinyl {vinyl.__version__} (Django {django.get_version()}, "
            f"Python {sys.version.split()[0]})\n"
        )
        return
    try:
        find_settings(Path.cwd())
        if argv[1:2] == ["test"]:
            if (arguments := pytest_arguments(argv[2:])) is not None:
                sys.exit(run_pytest(arguments))
            argv = [each for each in argv if each != "--django"]
        # uvicorn has a handler of its own.
        with nullcontext() if argv[1:2] == ["runserver"] else ending_on_sigterm():
            Utility(argv).execute()
        # Here, and not when Python exits, where an error would be a traceback.
        sys.stdout.flush()
    except KeyboardInterrupt:
        if "--traceback" in argv:
            raise
        sys.stdout.flush()
        sys.stderr.write("\nInterrupted.\n")
        # What a shell reports of a program that SIGINT ended.
        sys.exit(130)
    except Terminated:
        sys.stdout.flush()
        sys.stderr.write("\nTerminated.\n")
        sys.exit(128 + signal.SIGTERM)
    except Exception as error:
        if (
            isinstance(error, BrokenPipeError)
            and os.name == "posix"
            and _nobody_reads()
        ):
            sys.exit(128 + signal.SIGPIPE)
        message = explain(error)
        if message is None or "--traceback" in argv:
            raise
        _fail(message)


class Terminated(BaseException):
    """SIGTERM has arrived."""


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """
    Let SIGTERM raise Terminated, so that commands remove what they have half written,
    as with Ctrl-C.
    """

    def end(*args: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _nobody_reads() -> bool:
    """Whether the reader of the output has gone, as in `vinyl routes | head`."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    _drop_output()
    return True


def _drop_output() -> None:
    """Drop what is left of the output, at which Python would fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_any_text() -> None:
    """
    Print what the terminal's encoding lacks as escapes, instead of failing; and nothing
    where there is no output, as after `>&-`.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # until Python exits
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding != "utf-8":
            stream.reconfigure(errors="backslashreplace")


def run_pytest(command: list[str]) -> int:
    """
    Run *command*, which is pytest, in place of this process, so that it gets all
    signals; on Windows, return its status. Never switches.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        # Ctrl-C reaches pytest as well, which has the time to remove its databases.
        signal.signal(signal.SIGINT, lambda *_: None)
        return subprocess.call(command)
    os.execv(command[0], command)


def pytest_arguments(arguments: list[str]) -> list[str] | None:
    """
    Return the command line of pytest for `vinyl test` with these *arguments*; None if
    Django's command is to run, because pytest is not installed, the project has no
    settings for it, or the first argument is `--django`.

    Never switches.
    """
    if arguments[:1] == ["--django"] or find_spec("pytest") is None:
        return None
    folder = Path.cwd()
    for each in (folder, *folder.parents):
        file = each / "pyproject.toml"
        if (each / "pytest.ini").exists():
            break
        if file.exists():
            if "pytest" not in tomllib.loads(file.read_text("utf-8")).get("tool", {}):
                return None
            break
    else:
        return None
    return [sys.executable, "-m", "pytest", *arguments]


class Utility(ManagementUtility):
    """Django's command-line utility, with vinyl's commands and messages."""

    def main_help_text(self, commands_only: bool = False) -> str:
        if commands_only:
            return super().main_help_text(commands_only)
        style = color_style()
        groups = grouped(get_commands())
        lines = [f"`{self.prog_name} help COMMAND` shows the options of a command."]
        for title, names in groups.items():
            text = textwrap.fill(
                "  ".join(names),
                width=78,
                initial_indent="    ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
            lines += ["", style.NOTICE(title), text]
        if self.settings_exception is not None:
            problem = _settings_problem(self.settings_exception)
            lines += ["", style.NOTICE(f"Commands of apps are missing. {problem}")]
        return "\n".join(lines)

    def fetch_command(self, subcommand: str) -> BaseCommand:
        if self.settings_exception:
            if subcommand not in WITHOUT_SETTINGS:
                raise ImproperlyConfigured(
                    _settings_problem(self.settings_exception)
                ) from self.settings_exception
            if not settings.configured:
                # Django looks for databases to close, after each command.
                settings.configure()
        replaced = REPLACED.get(subcommand)
        if subcommand in OWN or replaced and get_commands().get(subcommand) == replaced:
            return load_command_class("vinyl.web", subcommand)
        return super().fetch_command(subcommand)


def grouped(commands: dict[str, Any]) -> dict[str, list[str]]:
    """
    Return the names of *commands*, by app as Django has them, in groups: those of
    GROUPS, and one for each other app. Never switches.
    """
    known = {name for names in GROUPS.values() for name in names.split()}
    groups = {
        title: [name for name in names.split() if name in commands]
        for title, names in GROUPS.items()
    }
    for name, app in sorted(commands.items()):
        if name not in known:
            label = app if isinstance(app, str) else type(app).__module__
            title = "Other" if label.startswith("django.") else f"App {label}"
            groups.setdefault(title, []).append(name)
    return {title: names for title, names in groups.items() if names}


def find_settings(start: Path) -> None:
    """
    Set `DJANGO_SETTINGS_MODULE`, unless it is set, from the project around *start*; or
    import the module in which the project calls `vinyl.orm.configure()`.

    Raises:
        ImproperlyConfigured: A `pyproject.toml` is not valid TOML, its `settings` or
            `configure` is not the name of a module, or the module does not call
            `configure()`.

    Never switches.
    """
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        try:
            tool = tomllib.loads(file.read_text("utf-8")).get("tool", {})
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{file} is not valid TOML: {error}. Correct the file."
            ) from error
        if (configured := tool.get("vinyl")) is None:
            continue
        if "configure" in configured and "settings" not in configured:
            sys.path.insert(0, str(folder))
            if "DJANGO_SETTINGS_MODULE" not in os.environ:
                _import_configuration(configured["configure"], file)
            return
        module = configured.get("settings")
        if not isinstance(module, str) or not module:
            raise ImproperlyConfigured(
                f"{file} has a table [tool.vinyl] whose `settings` is {module!r}, but "
                f"must be the name of a module. Write, for instance, "
                f'settings = "mysite.settings".'
            )
        sys.path.insert(0, str(folder))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", module)
        return


def _import_configuration(module: object, file: Path) -> None:
    """Import the *module* that calls `configure()`, as *file* says."""
    problem = "must be the name of a module"
    if isinstance(module, str) and module:
        if find_module(module):
            import_module(module)
            if settings.configured:
                return
            problem = "does not call vinyl.orm.configure() when it is imported"
        else:
            problem = f"cannot be found in {file.parent}"
    raise ImproperlyConfigured(
        f"{file} has a table [tool.vinyl] whose `configure` is {module!r}, which "
        f"{problem}. Name the module that calls vinyl.orm.configure(), for instance "
        f'configure = "shop.database".'
    )


def find_module(name: str) -> bool:
    """Whether there is a module called *name*. Imports the packages that contain it."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _settings_problem(error: Exception) -> str:
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    if module is None:
        return (
            f"There is no project here: neither {Path.cwd()} nor a folder above it has "
            f"a pyproject.toml with `settings` in [tool.vinyl], and "
            f"DJANGO_SETTINGS_MODULE is not set. Change to your project's folder, or "
            f"create a project with `vinyl startproject mysite`."
        )
    if isinstance(error, ImportError):
        return (
            f"The settings module {module!r} cannot be imported: {error}. Correct the "
            f"name in pyproject.toml or DJANGO_SETTINGS_MODULE, or the import in the "
            f"module; --traceback shows where it failed."
        )
    return str(error)


def _fail(message: str) -> NoReturn:
    style = color_style()
    sys.stderr.write(f"{style.ERROR(message)}\n")
    try:
        sys.stdout.flush()
    except OSError:  # the full disk that the message is about
        _drop_output()
    sys.exit(1)
