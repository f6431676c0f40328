"""What `vinyl doctor` finds in a project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.db import connections, models
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import isolate_apps

from tests.fix_db import default_at, only_postgresql
from vinyl.orm.management.examinations import (
    Finding,
    examine_checks,
    examine_database,
    examine_migrations,
    examine_models,
    examine_pools,
)


@contextmanager
def unapplied(app: str, name: str) -> Iterator[None]:
    recorder = MigrationRecorder(connections["default"])
    recorder.record_unapplied(app, name)
    try:
        yield
    finally:
        recorder.record_applied(app, name)
        connections["default"].close()


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_a_project_in_order(db: str) -> None:
    assert only(examine_models()).level == "ok"
    assert only(examine_database("default")).level == "ok"
    assert only(examine_migrations("default")).level == "ok"


def test_a_change_that_is_in_no_migration() -> None:
    with isolate_apps("tests.records"):

        class Sleeve(models.Model):  # noqa: DJ008 - nothing prints it
            class Meta:
                app_label = "records"

    apps.register_model("records", Sleeve)
    try:
        finding = only(examine_models())
    finally:
        del apps.all_models["records"]["sleeve"]
        apps.clear_cache()
    assert finding.level == "warning"
    assert "Create model Sleeve" in finding.text
    assert finding.remedy == "Run `vinyl makemigrations records`."


def test_migrations_that_are_not_applied(db: str) -> None:
    with unapplied("sessions", "0001_initial"):
        finding = only(examine_migrations("default"))
        assert finding == Finding(
            "warning",
            "1 migration is not applied to 'default': sessions.0001_initial",
            "Run `vinyl migrate`.",
        )


def test_migrations_in_the_wrong_order(db: str) -> None:
    with unapplied("contenttypes", "0001_initial"):
        finding = only(examine_migrations("default"))
        assert finding.level == "error"
        assert "do not fit together" in finding.text


@only_postgresql
def test_a_database_that_is_away(db: str) -> None:
    connections["default"].close()
    with default_at(PORT="9", HOST="127.0.0.1", PASSWORD="secret"):
        del connections["default"]
        finding = only(examine_database("default"))
        del connections["default"]
    assert finding.level == "error"
    assert "'default' cannot be reached" in finding.text
    assert "secret" not in str(finding)
    assert "\n" not in finding.text


@only_postgresql
def test_pools_larger_than_the_server(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    assert only(examine_pools("default", None)).level == "ok"
    finding = only(examine_pools("default", 1000))
    assert finding.level == "warning"
    assert "in each of 1000 processes" in finding.text
    monkeypatch.setenv("WEB_CONCURRENCY", "2000")
    assert "2000 processes" in only(examine_pools("default", None)).text


def test_what_the_system_checks_report(db: str) -> None:
    def check(**kwargs: Any) -> list[checks.CheckMessage]:
        return [
            checks.Warning("Odd.", hint="Change it.", id="x.W001"),
            checks.Error("Wrong.", obj=apps.get_model("records", "Artist")),
        ]

    checks.register(check, "x")
    try:
        found = list(examine_checks(deploy=False, databases=["default"]))
    finally:
        checks.registry.registry.registered_checks.remove(check)  # type: ignore[arg-type]
    assert Finding("warning", "Odd. (x.W001)", "Change it.") in found
    assert Finding("error", "records.Artist: Wrong.") in found
    levels = [finding.level for finding in found]
    assert levels == sorted(levels)
    insecure = examine_checks(deploy=True, databases=["default"])
    assert any("SECRET_KEY" in finding.text for finding in insecure)
