"""
A pytest plugin: a test that makes a call and never awaits it fails.

    pytest_plugins = ["vinyl.orm.testing"]    # in the conftest.py of the root
"""

from __future__ import annotations

from typing import Any

__all__ = ["pytest_configure"]


def pytest_configure(config: Any) -> None:
    """Turn Python's warning of a coroutine that nobody awaited into an error."""
    for line in (
        "error:coroutine '.*' was never awaited:RuntimeWarning",
        # Where it is thrown away no exception can be raised; pytest tells of it later.
        "error:(?s).*was never awaited:pytest.PytestUnraisableExceptionWarning",
    ):
        config.addinivalue_line("filterwarnings", line)
