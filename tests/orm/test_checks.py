"""The system checks of the ORM's settings; see tests/orm/lint for source code."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.db import connections
from django.test import override_settings

from vinyl import DOCUMENTATION
from vinyl.orm.checks import check_django_handler, check_tenants

ROOT = Path(__file__).parents[2]


def run_checks(**options: Any) -> list[str]:
    """The messages of vinyl's checks under these settings."""
    with override_settings(**options):
        return [str(message) for message in checks.run_checks(tags=["vinyl"])]


@pytest.mark.parametrize(
    ("replicas", "told"),
    [
        (["elsewhere"], "contains 'elsewhere', which is not in DATABASES."),
        ([3], "contains 3, which is not in DATABASES."),
        (["default"], "contains 'default', which is the primary and not a replica."),
        ([], ""),
    ],
    ids=repr,
)
def test_replicas_are_other_databases(replicas: Any, told: str) -> None:
    found = run_checks(VINYL={"REPLICAS": replicas})
    lines = [one.partition("\n")[0] for one in found]
    expected = [f"?: (vinyl.E003) settings.VINYL['REPLICAS'] {told}"] if told else []
    assert lines == expected


def test_replicas_that_are_in_the_settings_are_fine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    default = connections.settings["default"]
    monkeypatch.setitem(connections.settings, "replica", default)
    assert run_checks(VINYL={"REPLICAS": ("replica",)}) == []


# What the check of DJANGO_HANDLER looks for in the module of a middleware.
_state = threading.local()


class Middleware:
    """A middleware of a module with a `threading.local`, for the check below."""


@pytest.mark.parametrize(("handler", "count"), [("bridge", 1), ("threads", 0)])
def test_middleware_that_keeps_state_in_a_thread_local(
    handler: str, count: int
) -> None:
    path = f"{__name__}.Middleware"
    with override_settings(MIDDLEWARE=[path], VINYL={"DJANGO_HANDLER": handler}):
        found = check_django_handler()
    assert [message.id for message in found] == ["vinyl.W021"] * count
    assert all(f"MIDDLEWARE contains {path!r}" in message.msg for message in found)


def test_an_unknown_place_for_sync_views_is_an_error() -> None:
    (told,) = run_checks(VINYL={"DJANGO_HANDLER": "loop"})
    assert "(vinyl.E009) settings.VINYL['DJANGO_HANDLER'] is 'loop', which is" in told
    assert "so sync views run in threads." in told


class Shards:
    """A router, for the check below."""

    def db_for_read(self, model: Any, **hints: Any) -> None:
        return None

    async def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return False


def test_an_async_method_of_a_router_is_an_error() -> None:
    (told,) = run_checks(DATABASE_ROUTERS=[f"{__name__}.Shards"])
    assert "(vinyl.E007) Shards.allow_relation" in told


def test_a_backend_whose_connections_keep_a_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert check_tenants() == []
    backend: Any = type(connections["default"])
    monkeypatch.setattr(backend, "set_tenant", lambda self, tenant: None, raising=False)
    [warning] = check_tenants()
    assert warning.id == "vinyl.W022"
    assert f"DATABASES['default'] has the backend {backend.__module__!r}" in warning.msg
    assert "vinyl.orm.run()" in str(warning.hint)


def test_the_first_message_of_an_id_links_to_its_section() -> None:
    replicas = {"REPLICAS": ["elsewhere", "nowhere"], "DJANGO_HANDLER": "loop"}
    told = run_checks(VINYL=replicas)
    page = f"{DOCUMENTATION}/reference/checks.html"
    links = {id_: f" See {page}#vinyl-{id_}" for id_ in ("e003", "e009")}
    shown = sorted(one[one.find(" See ") :] for one in told if " See " in one)
    assert shown == [links["e003"], links["e009"]]
    assert len(told) == 3


def test_the_anchors_are_those_of_the_documentation() -> None:
    # Not in CI's environments without the extra "check".
    nodes = pytest.importorskip("docutils.nodes")
    assert nodes.make_id("vinyl.E003") == "vinyl-e003"
    assert nodes.make_id("NotAwaitedError") == "notawaitederror"


def test_each_id_has_its_place_in_the_docs() -> None:
    code = "".join(path.read_text() for path in (ROOT / "vinyl").rglob("*.py"))
    page = (ROOT / "docs" / "reference" / "checks.md").read_text()
    assert set(re.findall(r'"(vinyl\.[EW]\d{3})"', code)) == set(
        re.findall(r"^### (vinyl\.[EW]\d+)$", page, re.M)
    )
