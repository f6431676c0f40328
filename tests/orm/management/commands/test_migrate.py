"""`vinyl migrate`: one process at a time."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from vinyl.orm.management.migration_lock import migration_lock

pytestmark = pytest.mark.usefixtures("db")


def migrate(*args: str) -> str:
    out = StringIO()
    call_command("migrate", *args, stdout=out, stderr=out)
    return out.getvalue()


def test_it_waits_for_the_lock() -> None:
    with migration_lock(connections["default"], None, print):
        with pytest.raises(CommandError, match="still migrates the database"):
            migrate("--lock-timeout", "0")
    assert "No migrations to apply" in migrate("--lock-timeout", "0")


@pytest.mark.parametrize("option", ["--no-lock", "--plan", "--check"])
def test_it_need_not_wait(option: str) -> None:
    with migration_lock(connections["default"], None, print):
        migrate(option)


@pytest.mark.parametrize("value", ["-1", "soon", "inf", "nan"])
def test_a_wrong_timeout_is_refused(value: str) -> None:
    with pytest.raises(CommandError, match="must be a number of seconds"):
        migrate(f"--lock-timeout={value}")
