"""
A pytest plugin: a test that makes a call and never awaits it fails, and the error of
awaiting a lazy attribute that had been fetched says what to write.

    pytest_plugins = ["vinyl.orm.testing"]    # in the conftest.py of the root
"""

from __future__ import annotations

from typing import Any

from vinyl.orm.dualmode.awaited_value import note_awaited_value

__all__ = ["pytest_configure", "pytest_runtest_makereport"]


def pytest_configure(config: Any) -> None:
    """Turn Python's warning of a coroutine that nobody awaited into an error."""
    for line in (
        "error:coroutine '.*' was never awaited:RuntimeWarning",
        # Where it is thrown away no exception can be raised; pytest tells of it later.
        "error:(?s).*was never awaited:pytest.PytestUnraisableExceptionWarning",
    ):
        config.addinivalue_line("filterwarnings", line)


def pytest_runtest_makereport(call: Any) -> None:
    """Have the error of a test explained before it is shown."""
    if call.excinfo is not None:
        note_awaited_value(call.excinfo.value)
