"""The comparison with stock Django fails where it has to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.django_suite.comparison import Exceptions, Run, compare

STOCK = {"a": ("passed", ""), "b": ("failed", "as ever"), "c": ("skipped", "")}


def run(mode: str = "loop", **outcomes: str) -> Run:
    tests = STOCK | {test: (outcome, "why") for test, outcome in outcomes.items()}
    return Run(mode, "sqlite", tests)


def test_what_stock_does_is_good() -> None:
    verdict = compare(run(), run("stock"), {})
    assert verdict.good
    assert verdict.excepted == 0
    # What stock fails may pass.
    assert compare(run(b="passed"), run("stock"), {}).good


@pytest.mark.parametrize("outcome", ["failed", "skipped", "expected failure"])
def test_another_outcome_than_stocks_is_a_failure(outcome: str) -> None:
    assert compare(run(a=outcome), run("stock"), {}).failed == {"a": f"{outcome}: why"}


def test_a_test_that_did_not_run_is_a_failure() -> None:
    found = run()
    del found.tests["a"]
    assert compare(found, run("stock"), {}).failed == {"a": "missing: It did not run."}


def test_in_async_mode_only_async_tests_have_to_run() -> None:
    stock, found = run("stock"), Run("async", "sqlite", {})
    assert compare(found, stock, {}).good
    stock.async_tests = {"a"}
    assert set(compare(found, stock, {}).failed) == {"a"}


def test_an_exception_excuses_a_failure_and_no_success() -> None:
    verdict = compare(run(a="failed"), run("stock"), {"a": False})
    assert (verdict.good, verdict.excepted) == (True, 1)
    assert compare(run(), run("stock"), {"a": False}).needless == ["a"]
    assert compare(run(), run("stock"), {"a": True}).good


def test_labels_that_only_stock_can_run_are_a_failure() -> None:
    found, stock = run(), run("stock")
    found.broken = {"forms": "no table"}
    assert set(compare(found, stock, {}).failed) == {"forms"}
    stock.broken = {"forms": "no extension"}
    assert compare(found, stock, {}).good


ENTRY = """
[[exception]]
tests = ["a"]
reason = {reason}
modes = ["loop"]
databases = ["sqlite"]
django = ["5.2"]
"""


def test_exceptions_hold_for_what_they_name(tmp_path: Path) -> None:
    path = tmp_path / "exceptions.toml"
    path.write_text(ENTRY.format(reason='"cannot be"'))
    assert Exceptions(path, "5.2").listed("loop", "sqlite") == {"a": False}
    assert Exceptions(path, "5.2").listed("sync", "sqlite") == {}
    assert Exceptions(path, "5.2").listed("loop", "postgresql") == {}
    assert Exceptions(path, "6.1").listed("loop", "sqlite") == {}


def test_an_exception_needs_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "exceptions.toml"
    path.write_text(ENTRY.format(reason='" "'))
    with pytest.raises(ValueError, match="no reason"):
        Exceptions(path, "5.2")
