"""
Following a tutorial to the letter: its files are written, its changes made, its
commands run, and its sessions typed.

A fenced block belongs to the file that the paragraph above it names last: it is
written, or added to the end if the paragraph says so, or changed as a ```diff says. A
```console block has commands after `$ `, each with lines that it must print. A ```pycon
block is a session in `vinyl shell`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.project.terminal import PATIENCE, environment

FILES = ("python", "html", "js", "css", "toml")
BLOCK = re.compile(
    r"(?P<above>[^\n]*(?:\n[^\n]+)*)\n\n```(?P<language>\w+)\n(?P<code>.*?)```", re.S
)
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.\w+)`")


class Block(NamedTuple):
    above: str
    language: str
    code: str


class Follower:
    """
    Somebody who follows the pages of a tutorial.

    Args:
        folder: Where they begin.
        database_url: What DATABASE_URL is, for pages that do not say.
        only: The beginnings of the commands to run; the others, and sessions, are
            skipped.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str | None = None,
        only: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.database_url = database_url
        self.only = only

    def follow(self, page: Path) -> None:
        session: list[str] = []
        for block in blocks(page):
            if block.language == "pycon":
                session.append(block.code)
            elif block.language == "console":
                self.run(block.code)
            elif block.language == "diff":
                self.change(self.file(block), block.code)
            elif block.language in FILES:
                self.write(block)
        if session and not self.only:
            self.converse("\n".join(session))

    def file(self, block: Block) -> Path:
        named = PATH.findall(block.above)
        assert named, f"No file is named above: {block.code}"
        return self.folder / named[-1]

    def write(self, block: Block) -> None:
        path = self.file(block)
        if "Add to the end" in block.above:
            path.write_text(f"{path.read_text()}\n\n{block.code}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)

    def change(self, path: Path, diff: str) -> None:
        lines = [line or " " for line in diff.splitlines()]
        old = "\n".join(line[1:] for line in lines if line[0] in " -")
        new = "\n".join(line[1:] for line in lines if line[0] in " +")
        text = path.read_text()
        assert text.count(old) == 1, f"{path} has {text.count(old)} times:\n{old}"
        path.write_text(text.replace(old, new))

    def run(self, code: str) -> None:
        for step in code.split("$ ")[1:]:
            command, *expected = step.splitlines()
            if command.startswith("cd "):
                self.folder /= command.removeprefix("cd ")
                continue
            if self.only and not command.startswith(self.only):
                continue
            printed = self.shell(command)
            for line in expected:
                assert line in printed, f"`{command}` did not print {line!r}: {printed}"

    def shell(self, command: str) -> str:
        """What *command* prints, with the programs of this environment first."""
        programs = Path(sys.executable).parent
        env = environment(self.database_url)
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=env | {"PATH": f"{programs}{os.pathsep}{env['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def converse(self, session: str) -> None:
        """Type *session* into the console of `vinyl shell`; compare what it answers."""
        script = self.folder / "session.py"
        script.write_text(CONVERSATION)
        (self.folder / "session.txt").write_text(session)
        # Differences are printed; warnings, as of a slow machine, are not.
        differences = self.shell("python session.py 2>session.log")
        assert not differences, differences
        script.unlink()
        (self.folder / "session.txt").unlink()
        (self.folder / "session.log").unlink()


def blocks(page: Path) -> Iterator[Block]:
    for match in BLOCK.finditer(page.read_text()):
        yield Block(**match.groupdict())


# Runs in the project. Prints what differs from the session in session.txt.
CONVERSATION = """
import asyncio
import contextlib
import doctest
import io
import pathlib

from vinyl.cli import find_settings

find_settings(pathlib.Path.cwd())

import django

django.setup()

from vinyl.orm.management.commands.shell import AsyncConsole

checker = doctest.OutputChecker()
session = pathlib.Path("session.txt").read_text()
with asyncio.Runner() as runner:
    console = AsyncConsole({"__name__": "__console__"}, runner)
    for example in doctest.DocTestParser().get_examples(session):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            # The empty line ends a block.
            console.runsource(f"{example.source}\\n")
        got = printed.getvalue()
        if not checker.check_output(example.want, got, doctest.ELLIPSIS):
            print(f"{example.source}expected:\\n{example.want}got:\\n{got}")
"""
