"""The patches of modules that many processes do not import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

from vinyl.orm.contrib.packages import TABLE

# The modules of the patches that a process needs for none of its imports.
UNUSED = (
    "debug_toolbar",
    "handlers",
    "loop_checks",
    "procrastinate",
    "task_locals",
    "view_decorators",
)


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, env={}, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


SET_UP = """
import sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["vinyl.orm"])
django.setup()
loaded = lambda: sorted(
    name for name in sys.modules if name.startswith("vinyl.orm.contrib.")
)
"""


def test_a_module_of_patches_is_imported_with_what_it_patches() -> None:
    code = f"""{SET_UP}
assert "vinyl.orm.contrib.handlers" not in loaded(), loaded()
import django.core.handlers.asgi
assert "vinyl.orm.contrib.handlers" in loaded()
import inspect
from django.core.handlers.asgi import ASGIHandler
print(inspect.unwrap(ASGIHandler.handle) is not ASGIHandler.handle)
"""
    assert run(code) == "True"


def test_none_is_imported_at_start() -> None:
    names = [f"vinyl.orm.contrib.{name}" for name in UNUSED]
    assert run(f"{SET_UP}\nprint(*set(loaded()) & set({names}))") == ""


@pytest.mark.parametrize(
    "patch", TABLE, ids=lambda patch: f"{patch.owner} {patch.names}"
)
def test_each_patch_is_there(patch: Any) -> None:
    """Each names a function of a module beside, which the first use imports."""
    decorator = inspect.getclosurevars(patch.decorator)
    find = decorator.nonlocals.get("find", patch.decorator)
    names = find.__code__.co_names
    found = inspect.getclosurevars(find).globals[names[0]]
    for name in names[1:]:
        found = getattr(found, name)
    assert callable(found)
