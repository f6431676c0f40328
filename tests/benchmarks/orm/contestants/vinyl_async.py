"""vinyl's ORM on the event loop."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Max, Sum

from tests.benchmarks.orm.contestants.django.models import (
    Album,
    Counter,
    Entry,
    Track,
)
from tests.benchmarks.orm.contestants.django_sync import tracks
from tests.benchmarks.orm.workloads import STREAM_CHUNK
from tests.benchmarks.orm.workloads import Entry as Values
from vinyl.orm import transaction
from vinyl.orm.pools import close_pools

__all__ = ["tracks"]


async def open() -> None:
    pass


async def close() -> None:
    await close_pools()


async def get(key: int) -> Album:
    return await Album.objects.get(pk=key)


async def exists(artist: int, year: int) -> bool:
    return await Album.objects.filter(artist=artist, year=year).exists()


async def related(key: int) -> Any:
    album = await Album.objects.get(pk=key)
    return album, await album.artist


async def list_albums(after: int, count: int) -> list[Album]:
    return await Album.objects.filter(pk__gt=after).order_by("pk")[:count]


async def select_related(after: int, count: int) -> list[Album]:
    albums = Album.objects.select_related("artist").filter(pk__gt=after)
    return await albums.order_by("pk")[:count]


async def prefetch(after: int, count: int) -> list[Album]:
    albums = Album.objects.prefetch_related("tracks").filter(pk__gt=after)
    return await albums.order_by("pk")[:count]


async def values(after: int, count: int) -> list[Any]:
    albums = Album.objects.filter(pk__gt=after).order_by("pk")
    return await albums.values("id", "title", "year")[:count]


async def filter_chain(artist: str, title: str, year: int, count: int) -> list[Album]:
    return await (
        Album.objects.filter(artist__name=artist)
        .exclude(title=title)
        .filter(year__gte=year)
        .order_by("-year", "pk")[:count]
    )


async def insert(entry: Values) -> int:
    return (await Entry.objects.create(**entry._asdict())).pk


async def update(key: int, number: int) -> None:
    await Counter.objects.filter(pk=key).update(number=number)


async def txn(key: int, number: int, entry: Values) -> None:
    async with transaction.atomic():
        counter = await Counter.objects.get(pk=key)
        counter.number = number
        await counter.save(update_fields=["number"])
        await Entry.objects.create(**entry._asdict())


async def bulk_insert(entries: Sequence[Values]) -> None:
    await Entry.objects.bulk_create([Entry(**entry._asdict()) for entry in entries])


async def stream() -> tuple[int, int]:
    count = total = 0
    async for track in Track.objects.order_by("pk").iterator(chunk_size=STREAM_CHUNK):
        count += 1
        total += track.position
    return count, total


async def aggregate(artist: int) -> tuple[Any, ...]:
    found = await Album.objects.filter(artist=artist).aggregate(
        albums=Count("pk"), latest=Max("year"), years=Sum("year")
    )
    return found["albums"], found["latest"], found["years"]
