"""
Walk through whole applications on stock Django and on vinyl, and compare the answers.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.compatibility.applications.crawler import without_varying
from tests.compatibility.applications.report import MODES, Outcome, page_of
from tests.compatibility.report import versions
from tests.postgres import postgres_server

FOLDER = Path(__file__).parent / "projects"
ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "applications"
TIMEOUT = 900  # seconds, for a process


def project_of(name: str) -> Any:
    """The module that describes an application."""
    return import_module(f"tests.compatibility.applications.projects.{name}")


def python_of(name: str) -> str:
    """The interpreter of an environment with an application; made if need be."""
    requires: tuple[str, ...] = project_of(name).requires
    try:
        version(requires[0])
    except PackageNotFoundError:
        pass
    else:
        return sys.executable
    folder = CACHE / name
    python = folder / "bin" / "python"
    if not python.exists():
        say(f"Installing {' '.join(requires)} ...")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
        django = f"django=={version('django')}"
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                *quiet,
                f"{ROOT}[test]",
                django,
                *requires,
            ],
            check=True,
        )
    return str(python)


def version_in(python: str, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.check_output([python, "-c", code], text=True).strip()


def run(name: str, mode: str, url: str, *arguments: str) -> dict[str, Any]:
    """What one_run.py writes for an application in a mode."""
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "output.json")
        action, *others = arguments
        command = [python_of(name), "-Wignore", "-m"]
        command += ["tests.compatibility.applications.one_run", action, str(output)]
        process = subprocess.run(
            [*command, *others],
            env={
                **os.environ,
                "APPLICATION": f"tests.compatibility.applications.projects.{name}",
                "APPLICATION_DATABASE": url,
                "APPLICATION_MODE": mode,
                "DJANGO_SETTINGS_MODULE": "tests.compatibility.applications.overlay",
                "PYTHONHASHSEED": "0",
                "PYTHONPATH": str(ROOT),
            },
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        if not output.exists():
            text = f"{process.stdout}\n{process.stderr}".strip()
            raise SystemExit(f"{name} {mode} {action}: {text[-4000:]}")
        return {"printed": process.stderr, **json.loads(output.read_text())}


@contextmanager
def databases(kind: str, server: str) -> Iterator[Any]:
    """Makes databases: called with a URL to copy, or "" for an empty one."""
    with ExitStack() as stack:
        if kind == "sqlite":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

            def make_file(copied: str = "") -> str:
                path = folder / f"{len(list(folder.iterdir()))}.sqlite3"
                for end in ("", "-wal") if copied else ():
                    source = Path(f"{urlsplit(copied).path[1:]}{end}")
                    if source.exists():
                        shutil.copy(source, f"{path}{end}")
                path.touch()
                return f"sqlite:///{path}"

            yield make_file
            return
        made: list[str] = []
        address, _, query = server.partition("?")
        connection = stack.enter_context(psycopg.connect(server, autocommit=True))

        def make(copied: str = "") -> str:
            name = f"application_{os.getpid()}_{len(made)}"
            of = f" TEMPLATE {urlsplit(copied).path[1:]}" if copied else ""
            connection.execute(f"CREATE DATABASE {name}{of}")
            made.append(name)
            return f"{address.rpartition('/')[0]}/{name}{'?' if query else ''}{query}"

        yield make
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def differences(
    stock: dict[str, Any], again: dict[str, Any], found: dict[str, Any]
) -> Iterator[str]:
    """Yield what *found* answers otherwise than both walks on stock Django."""
    for request, first, second, answer in zip(
        stock["requests"],
        stock["answers"],
        again["answers"],
        found["answers"],
        strict=True,
    ):
        user, url, fields, _ = request
        for index, what in enumerate(("status", "location", "kind", "body")):
            if first[index] == second[index] != answer[index]:
                method = "GET" if fields is None else "POST"
                yield f"{method} {url} as {user or 'nobody'}: {what}"
                yield from changes(first[index], answer[index])
                break
    for label, rows in stock["rows"].items():
        if rows == again["rows"][label] != found["rows"][label]:
            yield f"rows of {label}"
            yield from changes("\n".join(rows), "\n".join(found["rows"][label]))


def brief(text: str) -> str:
    """The first and the last line of a text that was logged, without numbers."""
    lines = [without_varying(line) for line in text.strip().splitlines()]
    return re.sub(r"\d+", "N", " ... ".join(dict.fromkeys([lines[0], lines[-1]])))


def changes(first: Any, second: Any) -> Iterator[str]:
    lines = difflib.unified_diff(
        str(first).splitlines(), str(second).splitlines(), lineterm="", n=0
    )
    for line in list(lines)[2:14]:
        yield f"        {line[:300]}"


def varying(stock: dict[str, Any], again: dict[str, Any]) -> Iterator[str]:
    """Yield what the same site answers otherwise in another walk."""
    for request, first, second in zip(
        stock["requests"], stock["answers"], again["answers"], strict=True
    ):
        if first != second:
            yield f"{request[1]} as {request[0] or 'nobody'}"
            for one, other in zip(first, second, strict=True):
                yield from changes(one, other)


def compare(
    name: str, kind: str, server: str, modes: list[str], *, is_verbose: bool
) -> Outcome:
    """Print how an application on vinyl differs from it on stock Django."""
    say(f"{name} on {kind}")
    with databases(kind, server) as database, tempfile.TemporaryDirectory() as scratch:
        base = database()
        prepared = run(name, "stock", base, "prepare")
        rows = run(name, "wsgi", database(), "prepare")["rows"]
        differ, mixed = {}, {}
        for label in prepared["rows"]:
            first, second = (sorted(each[label]) for each in (prepared["rows"], rows))
            if first != second:
                say(f"    prepare: rows of {label}")
                say("\n".join(changes("\n".join(first), "\n".join(second))))
        stock = run(name, "stock", database(base), "walk")
        known = Path(scratch, "requests.json")
        known.write_text(json.dumps(stock))
        again = run(name, "stock", database(base), "walk", str(known))
        unstable = sum(
            first != second
            for first, second in zip(stock["answers"], again["answers"], strict=True)
        )
        codes: dict[int, int] = {}
        for answer in stock["answers"]:
            codes[answer[0]] = codes.get(answer[0], 0) + 1
        posts = sum(fields is not None for _, _, fields, _ in stock["requests"])
        say(
            f"    stock: {len(stock['requests'])} requests, {posts} of forms; status "
            f"{dict(sorted(codes.items()))}; {unstable} vary; "
            f"{stock['took'][0]:.1f} s, CPU {stock['took'][1]:.1f} s"
        )
        if is_verbose:
            for line in varying(stock, again):
                say(f"      varies: {line}")
        for mode in modes:
            found = run(name, mode, database(base), "walk", str(known))
            lines = list(differences(stock, again, found))
            differ[mode] = count = sum(not line.startswith(" ") for line in lines)
            usual = {
                page.rpartition(":")[0] for page in stock["mixed"] + again["mixed"]
            }
            mixed[mode] = sum(
                page.rpartition(":")[0] not in usual for page in found["mixed"]
            )
            known_errors = set(map(brief, stock["errors"]))
            logged = sorted(
                text
                for text in set(map(brief, found["errors"])) - known_errors
                # On a busy machine each view does so.
                if "blocked the event loop" not in text
            )
            say(
                f"    {mode}: {count} differ; {len(found['mixed'])} mixed (stock "
                f"{len(stock['mixed'])}); {len(logged)} other logged; "
                f"{found['took'][0]:.1f} s, CPU {found['took'][1]:.1f} s"
            )
            for line in [*lines, *found["mixed"]]:
                say(f"      {line}")
            for text in logged:
                say(f"      logged: {text}")
            for text in found["checked"]:
                if text not in stock["checked"]:
                    say(f"      check: {text}")
    python, package = python_of(name), project_of(name).requires[0]
    return Outcome(
        f"{package} {version_in(python, package)}",
        kind,
        len(stock["requests"]),
        posts,
        len(stock["requests"]) - unstable,
        differ,
        mixed,
        versions(),
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    names = sorted(path.parent.name for path in FOLDER.glob("*/site.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("applications", nargs="*", choices=names, metavar="NAME")
    parser.add_argument("--mode", action="append", choices=MODES, help="all by default")
    parser.add_argument(
        "--database", action="append", choices=["sqlite", "postgresql"], help="or both"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="name what varies on stock Django"
    )
    parser.add_argument("--page", type=Path, help="writes what has been found so far")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    failed = False
    with postgres_server() as server:
        for name in options.applications or names:
            for kind in options.database or ("sqlite", "postgresql"):
                outcome = compare(
                    name,
                    kind,
                    server,
                    options.mode or list(MODES),
                    is_verbose=options.verbose,
                )
                file = CACHE / f"{name}-{kind}.json"
                file.write_text(json.dumps(outcome))
                failed |= any(outcome.differ.values()) or any(outcome.mixed.values())
    if options.page:
        found = [Outcome(*json.loads(one.read_text())) for one in CACHE.glob("*.json")]
        options.page.write_text(page_of(found))
    return failed


if __name__ == "__main__":
    sys.exit(main())
