"""
A pytest plugin. A call that is never awaited makes its test fail, and the error for
awaiting a lazy attribute that had already been fetched says what to write.

    pytest_plugins = ["vinyl.orm.testing"]    # in the conftest.py of the root
"""

from __future__ import annotations

from typing import Any

from vinyl.orm.dualmode.awaited_value import note_awaited_value

__all__ = ["pytest_configure", "pytest_runtest_makereport"]


def pytest_configure(config: Any) -> None:
    """
    Turn Python's warning "coroutine was never awaited" into an error, in pytest's
    *config*. Never switches.
    """
    for line in (
        "error:coroutine '.*' was never awaited:RuntimeWarning",
        # No exception can be raised where a coroutine is deleted; pytest warns later.
        "error:(?s).*was never awaited:pytest.PytestUnraisableExceptionWarning",
    ):
        config.addinivalue_line("filterwarnings", line)


def pytest_runtest_makereport(call: Any) -> None:
    """Explain the error of *call*, if any, before it is reported. Never switches."""
    if call.excinfo is not None:
        note_awaited_value(call.excinfo.value)
