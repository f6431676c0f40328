"""Django's ORM, each thread with a connection; and vinyl's in sync mode."""

# django-stubs declares neither the fields of these models nor what vinyl makes of them.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, transaction
from django.db.models import Count, Max, Sum

from tests.benchmarks.orm.contestants.django.models import (
    Album,
    Counter,
    Entry,
    Track,
)
from tests.benchmarks.orm.workloads import STREAM_CHUNK
from tests.benchmarks.orm.workloads import Entry as Values


def open() -> None:
    pass


def close() -> None:
    connections.close_all()


def tracks(album: Album) -> Any:
    return album.tracks.all()


def get(key: int) -> Album:
    return Album.objects.get(pk=key)


def exists(artist: int, year: int) -> bool:
    return Album.objects.filter(artist=artist, year=year).exists()


def related(key: int) -> Any:
    album = Album.objects.get(pk=key)
    return album, album.artist


def list_albums(after: int, count: int) -> list[Album]:
    return list(Album.objects.filter(pk__gt=after).order_by("pk")[:count])


def select_related(after: int, count: int) -> list[Album]:
    albums = Album.objects.select_related("artist").filter(pk__gt=after)
    return list(albums.order_by("pk")[:count])


def prefetch(after: int, count: int) -> list[Album]:
    albums = Album.objects.prefetch_related("tracks").filter(pk__gt=after)
    return list(albums.order_by("pk")[:count])


def values(after: int, count: int) -> list[Any]:
    albums = Album.objects.filter(pk__gt=after).order_by("pk")
    return list(albums.values("id", "title", "year")[:count])


def filter_chain(artist: str, title: str, year: int, count: int) -> list[Album]:
    return list(
        Album.objects.filter(artist__name=artist)
        .exclude(title=title)
        .filter(year__gte=year)
        .order_by("-year", "pk")[:count]
    )


def insert(entry: Values) -> int:
    return Entry.objects.create(**entry._asdict()).pk


def update(key: int, number: int) -> None:
    Counter.objects.filter(pk=key).update(number=number)


def txn(key: int, number: int, entry: Values) -> None:
    with transaction.atomic():
        counter = Counter.objects.get(pk=key)
        counter.number = number
        counter.save(update_fields=["number"])
        Entry.objects.create(**entry._asdict())


def bulk_insert(entries: Sequence[Values]) -> None:
    Entry.objects.bulk_create([Entry(**entry._asdict()) for entry in entries])


def stream() -> tuple[int, int]:
    count = total = 0
    for track in Track.objects.order_by("pk").iterator(chunk_size=STREAM_CHUNK):
        count += 1
        total += track.position
    return count, total


def aggregate(artist: int) -> tuple[Any, ...]:
    found = Album.objects.filter(artist=artist).aggregate(
        albums=Count("pk"), latest=Max("year"), years=Sum("year")
    )
    return found["albums"], found["latest"], found["years"]
