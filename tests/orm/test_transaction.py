"""The names of vinyl.orm.transaction: Django's, in both modes."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

from typing import Any

import django.db.transaction
import pytest

from tests.records.models import Artist
from vinyl.orm import connection, transaction
from vinyl.orm.retry import retry_on_conflict


def test_it_has_every_public_name_of_djangos() -> None:
    djangos = {
        name
        for name, value in vars(django.db.transaction).items()
        if getattr(value, "__module__", "") == django.db.transaction.__name__
        and not name.startswith("_")
    }
    assert djangos - set(transaction.__all__) == set()
    assert transaction.retry_on_conflict is retry_on_conflict
    assert django.db.transaction.on_commit is transaction.on_commit


@pytest.mark.anyio
@pytest.mark.parametrize("names", [transaction, django.db.transaction])
async def test_what_has_to_be_awaited_can_be(db: str, names: Any) -> None:
    async with connection.pinned():
        await connection.set_autocommit(False)
        await Artist.objects.create(name="undone")
        await names.rollback()
        await Artist.objects.create(name="kept")
        await names.commit()
        await connection.set_autocommit(True)
    async with transaction.atomic():
        sid = await connection.savepoint()
        await Artist.objects.create(name="undone, too")
        await names.savepoint_rollback(sid)
        await names.savepoint_commit(await connection.savepoint())
        await names.on_commit(lambda: None)
    assert [artist.name for artist in await Artist.objects.all()] == ["kept"]


def test_sync_mode_is_djangos_own(db: str) -> None:
    seen: list[str] = []
    with transaction.atomic():
        Artist.objects.create(name="Nina")
        transaction.on_commit(lambda: seen.append("hook"))
        with pytest.raises(LookupError), transaction.atomic():
            Artist.objects.create(name="undone")
            raise LookupError
        sid = transaction.savepoint_create()
        Artist.objects.create(name="undone, too")
        transaction.savepoint_rollback(sid)
    assert seen == ["hook"]
    assert list(Artist.objects.values_list("name", flat=True)) == ["Nina"]
