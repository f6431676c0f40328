"""The hosted CI, the hooks and the metadata say the same as `.ci/run`."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from vinyl.orm.dualmode.versions import SUPPORTED

ROOT = Path(__file__).parents[1]
RUN = (ROOT / ".ci" / "run").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "ci.yml").read_text()
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STEPS = set(re.findall(r"^step_(\w+)\(\)", RUN, re.MULTILINE))


def array(name: str) -> list[str]:
    """The values of the shell array *name* of `.ci/run`."""
    [values] = re.findall(rf"^{name}=\(([\d. ]+)\)$", RUN, re.MULTILINE)
    return values.split()


def supported() -> dict[str, list[str]]:
    """The Pythons of each Django, as `.ci/run` has them."""
    rows = re.findall(r"^ +([\d.]+)\) echo ([\d. ]+) ;;$", RUN, re.MULTILINE)
    return {django: pythons.split() for django, pythons in rows}


def classified(prefix: str) -> list[str]:
    """The versions of the classifiers that begin with *prefix*."""
    found = (entry.partition(f"{prefix} :: ")[2] for entry in PROJECT["classifiers"])
    return [version for version in found if version]


def pairs(matrix: dict[str, Any]) -> set[tuple[str, str]]:
    """The combinations of Python and Django of *matrix*."""
    excluded = {(row["python"], row["django"]) for row in matrix["exclude"]}
    everything = set(itertools.product(matrix["python"], matrix["django"]))
    assert excluded <= everything
    return everything - excluded


def commands() -> list[list[str]]:
    """The words of each command of the workflow."""
    return [
        step["run"].split()
        for job in WORKFLOW["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


def test_the_djangos_are_those_that_vinyl_supports() -> None:
    djangos = [f"{major}.{minor}" for major, minor in SUPPORTED]
    assert array("djangos") == djangos
    assert list(supported()) == djangos
    assert classified("Framework :: Django") == djangos
    first, last = SUPPORTED[0], SUPPORTED[-1]
    requirement = f"django>={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}"
    assert requirement in PROJECT["dependencies"]


def test_the_pythons_are_those_of_the_classifiers() -> None:
    pythons = classified("Programming Language :: Python")
    assert array("pythons") == pythons
    assert {python for row in supported().values() for python in row} == set(pythons)
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_the_workflow_tests_each_supported_combination() -> None:
    here = {(python, django) for django, row in supported().items() for python in row}
    assert pairs(WORKFLOW["jobs"]["test"]["strategy"]["matrix"]) == here


def test_the_workflow_runs_each_step_of_ci_run_and_nothing_else() -> None:
    single = WORKFLOW["jobs"]["steps"]["strategy"]["matrix"]["step"]
    called = {words[1] for words in commands()}
    assert {words[0] for words in commands()} == {".ci/run"}
    assert (called - {"${{"}) | set(single) == STEPS
    assert not called & set(single)


def test_a_whole_run_has_each_step() -> None:
    [in_order] = re.findall(r"for step in ([\w ]+); do", RUN)
    [listed] = re.findall(r"^# The steps: (.+)\.$", RUN, re.MULTILINE)
    assert set(in_order.split()) == STEPS
    assert listed.split(", ") == in_order.split()


def test_the_hooks_run_the_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    assert entries == ["scripts/check"]
    assert f"step_check() {{ {entries[0]}; }}" in RUN


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nothing"], 2, ".ci/run STEP"),
        (["test", "3.12"], 2, ".ci/run STEP"),
        (["test", "2.9", "5.2"], 1, "Python 2.9 was not found"),
    ],
    ids=["no step", "half a combination", "no such Python"],
)
def test_what_cannot_run_fails(arguments: list[str], status: int, message: str) -> None:
    process = subprocess.run(
        ["bash", ROOT / ".ci" / "run", *arguments],
        capture_output=True,
        text=True,
    )
    assert process.returncode == status
    assert message in process.stdout + process.stderr
