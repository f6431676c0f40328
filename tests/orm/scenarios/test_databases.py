"""Several databases at once: two transactions, and relations across."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio

import pytest
from django.db.models import Prefetch

from tests.records.models import Album, Artist
from vinyl.orm import run, transaction

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("replica")]

PRIMARY, REPLICA = "default", "replica"


async def names(alias: str) -> list[str]:
    return await Artist.objects.using(alias).values_list("name", flat=True)


async def test_an_error_rolls_both_back() -> None:
    with pytest.raises(LookupError):
        async with transaction.atomic(PRIMARY), transaction.atomic(REPLICA):
            for alias in (PRIMARY, REPLICA):
                await Artist.objects.using(alias).create(name="new")
                assert "new" in await names(alias)
            raise LookupError
    assert await names(PRIMARY) == [PRIMARY]
    assert await names(REPLICA) == [REPLICA]


async def test_child_tasks_use_both() -> None:
    async def create(number: int) -> None:
        alias = (PRIMARY, REPLICA)[number % 2]
        async with transaction.atomic(alias):
            await Artist.objects.using(alias).create(name=f"new {number}")

    with pytest.raises(LookupError):
        async with transaction.atomic(PRIMARY), transaction.atomic(REPLICA):
            await asyncio.gather(*(create(number) for number in range(8)))
            assert len(await names(PRIMARY)) == len(await names(REPLICA)) == 5
            raise LookupError
    async with transaction.atomic(PRIMARY), transaction.atomic(REPLICA):
        await asyncio.gather(*(create(number) for number in range(8)))
    assert len(await names(PRIMARY)) == len(await names(REPLICA)) == 5


async def test_in_the_bridge() -> None:
    def both() -> None:
        with transaction.atomic(PRIMARY), transaction.atomic(REPLICA):
            Artist.objects.using(PRIMARY).create(name="new")
            Artist.objects.using(REPLICA).create(name="new")
            raise LookupError

    with pytest.raises(LookupError):
        await run(both)
    assert [await names(PRIMARY), await names(REPLICA)] == [[PRIMARY], [REPLICA]]


@pytest.mark.parametrize("commits", [True, False], ids=["commit", "rollback"])
async def test_in_the_bridge_blocks_may_end_in_another_order(commits: bool) -> None:
    def both() -> None:
        first, second = transaction.atomic(PRIMARY), transaction.atomic(REPLICA)
        first.__enter__()
        second.__enter__()
        Artist.objects.using(PRIMARY).create(name="first")
        Artist.objects.using(REPLICA).create(name="second")
        first.__exit__(None, None, None)
        error = None if commits else LookupError()
        second.__exit__(None if commits else LookupError, error, None)

    await run(both)
    assert await names(PRIMARY) == [PRIMARY, "first"]
    assert await names(REPLICA) == [REPLICA, *(["second"] if commits else [])]


async def test_the_inner_commit_stays_when_the_outer_fails_afterwards() -> None:
    with pytest.raises(LookupError):
        async with transaction.atomic(PRIMARY):
            async with transaction.atomic(REPLICA):
                await Artist.objects.using(PRIMARY).create(name="new")
                await Artist.objects.using(REPLICA).create(name="new")
            raise LookupError
    assert await names(PRIMARY) == [PRIMARY]
    assert "new" in await names(REPLICA)


async def test_prefetching_across() -> None:
    albums = Prefetch("albums", Album.objects.using(PRIMARY))
    [artist] = await Artist.objects.using(REPLICA).prefetch_related(albums)
    assert artist.name == REPLICA
    assert [album.title for album in artist.albums.all()] == [PRIMARY]
