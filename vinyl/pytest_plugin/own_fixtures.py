"""The fixtures whose names pytest-django does not have."""

from __future__ import annotations

from typing import Any

import pytest

from vinyl.orm.observe.recorder import recording
from vinyl.pytest_plugin.asserting import OnCommitCallbacks, assert_num_queries

__all__ = ["capture_queries", "on_commit_callbacks"]


@pytest.fixture(name="assert_num_queries")
def _assert_num_queries() -> Any:
    """
    `with assert_num_queries(2): ...` fails the test if the block makes another number
    of queries; `exact=False` allows fewer. Never switches.
    """
    return assert_num_queries


@pytest.fixture
def capture_queries() -> Any:
    """
    `with capture_queries() as record: ...` records the queries of the block in
    `record.queries`. Never switches.
    """
    return lambda: recording(full=True)


@pytest.fixture
def on_commit_callbacks() -> Any:
    """
    `async with on_commit_callbacks() as callbacks: ...` runs the hooks that the block
    registers with `on_commit()` at its end; `execute=False` only collects them. Write
    `with` in plain tests. Never switches.
    """
    return OnCommitCallbacks
