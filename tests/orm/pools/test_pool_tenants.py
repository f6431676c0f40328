"""Connections that belong to a tenant are given back without it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections

from tests.fix_db import only_postgresql
from tests.orm.backends.tenants import DatabaseWrapper
from tests.records.models import Artist
from vinyl.orm import run, transaction
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.postgresql import base
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, only_postgresql]

ONE = SimpleNamespace(schema_name="one")


@pytest.fixture(autouse=True)
def _tenants(db: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections of the backend with tenants, in the schema `one` or `public`."""

    def create(self: Any, alias: str) -> Any:
        return DatabaseWrapper(self.settings[alias], alias)

    monkeypatch.setattr(type(connections), "create_connection", create)
    yield
    del connections["default"]


def seen() -> tuple[str, int]:
    """The schemas that a query looks in, and the session that it uses."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path'), pg_backend_pid()")
        found: tuple[str, int] = cursor.fetchone()
    return found


def in_one() -> tuple[str, int]:
    connections["default"].set_tenant(ONE)
    assert Artist.objects.count() == 0
    return seen()


async def test_a_run_has_its_tenant_to_its_end_and_leaves_none() -> None:
    path, session = await run(in_one)
    assert path == "one, public"
    assert await run(seen) == ("public, public", session)
    # Again, with what is known of the connection.
    assert await run(in_one) == (path, session)
    assert await run(seen) == ("public, public", session)


async def test_so_does_a_block() -> None:
    async with transaction.atomic():
        path, session = await run(in_one)
        assert await run(seen) == (path, session)
        assert await Artist.objects.count() == 0
    assert await run(seen) == ("public, public", session)


async def test_a_session_whose_tenant_cannot_be_left_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(wrapper: Any) -> None:
        if wrapper.tenant is not ONE:
            raise RuntimeError("needs the database")

    _, session = await run(seen)
    monkeypatch.setattr(DatabaseWrapper, "extra", staticmethod(refuse))
    await run(in_one)
    monkeypatch.setattr(DatabaseWrapper, "extra", None)
    path, other = await run(seen)
    assert path == "public, public"
    assert other != session
    assert pool_for("default").stats()["in_use"] == 0


def test_other_backends_have_no_tenants() -> None:
    assert DatabaseWrapper.has_tenants
    assert not base.DatabaseWrapper.has_tenants
    assert not BridgeMixin.has_tenants
