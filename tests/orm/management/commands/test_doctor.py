"""`vinyl doctor`: what it prints, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.test.utils import override_settings

from tests.orm.management.test_examinations import unapplied

pytestmark = pytest.mark.usefixtures("db")


def doctor(*args: str) -> str:
    out = StringIO()
    call_command("doctor", *args, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _no_errors() -> Iterator[None]:
    """The settings of these tests are not those of a project."""
    silenced = [message.id for message in checks.run_checks()]
    with override_settings(SILENCED_SYSTEM_CHECKS=silenced):
        yield


def test_it_reports_and_changes_nothing() -> None:
    with unapplied("sessions", "0001_initial"):
        printed = doctor()
        assert "ok      All changes of models are in migrations.\n" in printed
        assert "warning 1 migration is not applied" in printed
        assert "        Run `vinyl migrate`.\n" in printed
        assert "no errors, " in printed.splitlines()[-1]
        assert "ok " not in doctor("--verbosity", "0")
        with pytest.raises(CommandError, match="needs attention"):
            doctor("--fail-on-warnings")


def test_wrong_arguments() -> None:
    with pytest.raises(CommandError, match="invalid int value: 'many'"):
        doctor("--processes", "many")
