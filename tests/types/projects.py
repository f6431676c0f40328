"""
Check what `startproject` and `startapp` make, and what those have who followed the
tutorial, as scripts/check does:

    python -m tests.types.projects

Prints what mypy and pyright find. The exit code is 1 if they find anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.project.following import Follower

ROOT = Path(__file__).parents[2]


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("vinyl", "startproject", "mysite", cwd=folder)
        run("vinyl", "startapp", "blog", cwd=folder / "mysite")
        run("vinyl", "startproject", "shop", "--example", cwd=folder)
        follow_tutorial(folder)
        projects = ("mysite", "shop", "ticketshop")
        return sum(checked(folder / project) for project in projects) and 1


def follow_tutorial(folder: Path) -> None:
    """Write all files of the tutorial, for a site in *folder*."""
    reader = Follower(folder, only=("vinyl start", "rm "))
    for page in sorted((ROOT / "docs" / "tutorial").glob("[0-9]-*.md")):
        reader.follow(page)


def checked(project: Path) -> int:
    """Print what the checkers find in *project*; return how many find something."""
    # mypy has its settings in the project's pyproject.toml.
    (project / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "extraPaths": [str(ROOT)]})
    )
    strict = ("basedpyright", "--pythonpath", sys.executable)
    return sum(
        run(*command, cwd=project, may_fail=True) != 0
        for command in (("mypy", "."), strict)
    )


def run(module: str, *args: str, cwd: Path, may_fail: bool = False) -> int:
    paths = [str(ROOT), str(cwd), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.stdout.write(f"{cwd.name}: {module}\n{done.stdout}\n")
        if not may_fail:
            raise SystemExit(1)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
