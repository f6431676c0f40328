"""Django's ORM through its a-methods, which run in threads."""

# django-stubs declares neither the fields of these models nor what vinyl makes of them.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db.models import Count, Max, Sum

from tests.benchmarks.orm.contestants import django_sync
from tests.benchmarks.orm.contestants.django.models import (
    Album,
    Counter,
    Entry,
    Track,
)
from tests.benchmarks.orm.contestants.django_sync import tracks
from tests.benchmarks.orm.workloads import STREAM_CHUNK
from tests.benchmarks.orm.workloads import Entry as Values

__all__ = ["tracks"]

# Each task has a thread, with a connection, as each request in Django's ASGI handler.
task_context = ThreadSensitiveContext


async def open() -> None:
    pass


async def close() -> None:
    await sync_to_async(django_sync.close)()


async def get(key: int) -> Album:
    return await Album.objects.aget(pk=key)


async def exists(artist: int, year: int) -> bool:
    return await Album.objects.filter(artist=artist, year=year).aexists()


async def related(key: int) -> Any:
    # The second query is select_related()'s to avoid; without it, a thread fetches.
    album = await Album.objects.aget(pk=key)
    return album, await sync_to_async(lambda: album.artist)()


async def list_albums(after: int, count: int) -> list[Album]:
    albums = Album.objects.filter(pk__gt=after).order_by("pk")[:count]
    return [album async for album in albums]


async def select_related(after: int, count: int) -> list[Album]:
    albums = Album.objects.select_related("artist").filter(pk__gt=after)
    return [album async for album in albums.order_by("pk")[:count]]


async def prefetch(after: int, count: int) -> list[Album]:
    albums = Album.objects.prefetch_related("tracks").filter(pk__gt=after)
    return [album async for album in albums.order_by("pk")[:count]]


async def values(after: int, count: int) -> list[Any]:
    albums = Album.objects.filter(pk__gt=after).order_by("pk")
    return [row async for row in albums.values("id", "title", "year")[:count]]


async def filter_chain(artist: str, title: str, year: int, count: int) -> list[Album]:
    albums = (
        Album.objects.filter(artist__name=artist)
        .exclude(title=title)
        .filter(year__gte=year)
        .order_by("-year", "pk")[:count]
    )
    return [album async for album in albums]


async def insert(entry: Values) -> int:
    return (await Entry.objects.acreate(**entry._asdict())).pk


async def update(key: int, number: int) -> None:
    await Counter.objects.filter(pk=key).aupdate(number=number)


async def txn(key: int, number: int, entry: Values) -> None:
    # Transactions work in sync code only, says its documentation.
    await sync_to_async(django_sync.txn)(key, number, entry)


async def bulk_insert(entries: Sequence[Values]) -> None:
    await Entry.objects.abulk_create([Entry(**entry._asdict()) for entry in entries])


async def stream() -> tuple[int, int]:
    count = total = 0
    async for track in Track.objects.order_by("pk").aiterator(chunk_size=STREAM_CHUNK):
        count += 1
        total += track.position
    return count, total


async def aggregate(artist: int) -> tuple[Any, ...]:
    found = await Album.objects.filter(artist=artist).aaggregate(
        albums=Count("pk"), latest=Max("year"), years=Sum("year")
    )
    return found["albums"], found["latest"], found["years"]
