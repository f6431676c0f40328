"""`vinyl completion`: the shell completes commands and options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.terminal import environment, vinyl


def complete(*words: str, cwd: Path) -> set[str]:
    """What bash offers for the last one of *words*."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = (
        'eval "$(vinyl completion bash)"\n'
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        "_vinyl_completion vinyl\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env=environment() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    assert complete("vinyl", "startp", cwd=tmp_path) == {"startproject"}
    offered = complete("vinyl", "startproject", "--exam", cwd=tmp_path)
    assert offered == {"--example"}


@pytest.mark.parametrize("shell", ["fish", "zsh"])
def test_there_are_scripts_for_other_shells(shell: str, tmp_path: Path) -> None:
    script = vinyl("completion", shell, cwd=tmp_path)
    assert "complete" in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n", "-c", script], check=True, timeout=60)
