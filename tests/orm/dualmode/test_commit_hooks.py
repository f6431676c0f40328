"""Hooks of on_commit() in both modes."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import pytest

from tests.records.models import Artist
from vinyl.orm import transaction

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_hooks_of_both_kinds_run_after_the_commit() -> None:
    seen: list[str] = []

    async def hook() -> None:
        seen.append(f"async hook sees {await Artist.objects.count()}")

    async with transaction.atomic():
        transaction.on_commit(lambda: seen.append("sync hook"))
        transaction.on_commit(hook)
        await Artist.objects.create(name="Nina")
        assert seen == []
    assert seen == ["sync hook", "async hook sees 1"]


async def test_hooks_do_not_run_after_a_rollback() -> None:
    seen: list[str] = []
    with pytest.raises(LookupError):
        async with transaction.atomic():
            transaction.on_commit(lambda: seen.append("ran"))
            raise LookupError
    assert seen == []
