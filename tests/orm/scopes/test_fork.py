"""Forking: which hooks are called in the child; see also scenarios/test_processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_hooks_are_called_in_the_child_only_and_once() -> None:
    code = """
import os
from vinyl.orm.scopes import fork

calls = []
fork.install()
fork.install()
fork.call_in_child(lambda: calls.append(os.getpid()))
if (child := os.fork()) == 0:
    os._exit(calls != [os.getpid()])
assert os.waitpid(child, 0)[1] == 0
assert calls == []
"""
    subprocess.run([sys.executable, "-c", code], check=True)
