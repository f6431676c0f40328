"""`vinyl shell` with IPython, in a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.terminal import PATIENCE, environment, new_project, vinyl

# Only the extra "check" has it.
pytest.importorskip("IPython")

# Each line with a text of the answer that it gets.
SESSION = [
    ("print(await User.objects.count() + 100)", "100"),
    ("user = await User.objects.create(username='nina')", ""),
    ("[each.username async for each in User.objects.all()]", "['nina']"),
    # Without `await`, in sync mode.
    ("User.objects.get().username.upper()", "'NINA'"),
    ("1 / 0", "ZeroDivisionError"),
    ("import asyncio; print('a' + 'sleep'); await asyncio.sleep(600)", "Interrupt"),
    ("await User.objects.acount() + 200", "201"),
]


def test_await_and_ctrl_c_at_the_prompt(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    vinyl("migrate", "-v", "0", cwd=project)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "vinyl", "shell", "-i", "ipython"],
        cwd=project,
        env=environment() | {"TERM": "dumb", "IPYTHONDIR": str(tmp_path / "ipython")},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
    ) as process:
        os.close(theirs)
        try:
            until(ours, r"In \[1\]: ")
            for number, (line, answer) in enumerate(SESSION, start=2):
                os.write(ours, f"{line}\r".encode())
                if "sleep" in line:
                    until(ours, "asleep")
                    # Ctrl-C, as the terminal sends it.
                    os.write(ours, b"\x03")
                assert answer in until(ours, rf"In \[{number}\]: ")
            os.write(ours, b"exit()\r")
            process.wait(PATIENCE)
        finally:
            process.kill()
            os.close(ours)


def until(terminal: int, pattern: str) -> str:
    """What the terminal shows until *pattern*."""
    shown = ""
    while not re.search(pattern, shown):
        shown += os.read(terminal, 65536).decode(errors="replace")
        # Colours, and moves of the cursor.
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return shown
