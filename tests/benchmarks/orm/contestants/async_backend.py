"""django-async-backend: Django's models with a manager of its own, on psycopg 3."""

# django-stubs declares neither the fields of these models nor their other manager.
# mypy: disable-error-code="attr-defined, misc, untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Max, Sum
from django_async_backend.db import async_connections, async_new_connection
from django_async_backend.db.transaction import async_atomic

from tests.benchmarks.orm.contestants.django.models import (
    Album,
    Artist,
    Counter,
    Entry,
    Track,
)
from tests.benchmarks.orm.workloads import Entry as Values

# Each call takes a connection from the pool: tasks cannot share one, and otherwise no
# more tasks could work than the pool is large.


async def open() -> None:
    pool = async_connections["default"].pool
    await pool.open(wait=True)


async def close() -> None:
    await async_connections.close_all()
    await async_connections["default"].close_pool()


@async_new_connection
async def get(key: int) -> Any:
    return await Album.async_objects.aget(pk=key)


@async_new_connection
async def exists(artist: int, year: int) -> Any:
    return await Album.async_objects.filter(artist=artist, year=year).aexists()


@async_new_connection
async def related(key: int) -> Any:
    album = await Album.async_objects.aget(pk=key)
    # It fetches no relation lazily.
    return album, await Artist.async_objects.aget(pk=album.artist_id)


def albums(after: int, count: int) -> Any:
    return Album.async_objects.filter(pk__gt=after).order_by("pk")[:count]


@async_new_connection
async def list_albums(after: int, count: int) -> Any:
    return [album async for album in albums(after, count)]


@async_new_connection
async def select_related(after: int, count: int) -> Any:
    found = Album.async_objects.select_related("artist").filter(pk__gt=after)
    return [album async for album in found.order_by("pk")[:count]]


@async_new_connection
async def prefetch(after: int, count: int) -> Any:
    # It has no prefetch_related().
    found: dict[int, tuple[Any, list[Any]]] = {
        album.pk: (album, []) async for album in albums(after, count)
    }
    async for track in Track.async_objects.filter(album__in=list(found)):
        found[track.album_id][1].append(track)
    return list(found.values())


@async_new_connection
async def values(after: int, count: int) -> Any:
    found = Album.async_objects.filter(pk__gt=after).order_by("pk")
    return [row async for row in found.values("id", "title", "year")[:count]]


@async_new_connection
async def filter_chain(artist: str, title: str, year: int, count: int) -> Any:
    found = (
        Album.async_objects.filter(artist__name=artist)
        .exclude(title=title)
        .filter(year__gte=year)
        .order_by("-year", "pk")[:count]
    )
    return [album async for album in found]


@async_new_connection
async def insert(entry: Values) -> Any:
    return (await Entry.async_objects.acreate(**entry._asdict())).pk


@async_new_connection
async def update(key: int, number: int) -> None:
    await Counter.async_objects.filter(pk=key).aupdate(number=number)


@async_new_connection
async def txn(key: int, number: int, entry: Values) -> None:
    async with async_atomic():
        counter = await Counter.async_objects.aget(pk=key)
        counter.number = number
        await counter.async_save(update_fields=["number"])
        await Entry.async_objects.acreate(**entry._asdict())


@async_new_connection
async def bulk_insert(entries: Sequence[Values]) -> None:
    rows = [Entry(**entry._asdict()) for entry in entries]
    await Entry.async_objects.abulk_create(rows)


@async_new_connection
async def stream() -> tuple[int, int]:
    # It has no aiterator(): this fetches all rows first.
    count = total = 0
    async for track in Track.async_objects.order_by("pk"):
        count += 1
        total += track.position
    return count, total


@async_new_connection
async def aggregate(artist: int) -> Any:
    found = await Album.async_objects.filter(artist=artist).aaggregate(
        albums=Count("pk"), latest=Max("year"), years=Sum("year")
    )
    return found["albums"], found["latest"], found["years"]
