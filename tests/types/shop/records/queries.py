"""What each call of the ORM gives: both checkers agree with every `assert_type()`."""

from typing import Any, assert_type

from vinyl.orm import models

from .models import Album, Artist, Cover, Genre, Label


async def read() -> None:
    assert_type(await Artist.objects.get(pk=1), Artist)
    assert_type(await Artist.objects.first(), Artist | None)
    assert_type(await Artist.objects.filter(name="x").last(), Artist | None)
    assert_type(await Artist.objects.count(), int)
    assert_type(await Artist.objects.all().count(), int)
    assert_type(await Artist.objects.exists(), bool)
    assert_type(await Artist.objects.aggregate(n=models.Count("*")), dict[str, Any])
    assert_type(await Artist.objects.in_bulk([1]), dict[Any, Artist])
    assert_type(await Artist.objects.create(name="x"), Artist)
    assert_type(await Artist.objects.get_or_create(name="x"), tuple[Artist, bool])
    assert_type(await Artist.objects.update_or_create(name="x"), tuple[Artist, bool])
    assert_type(await Artist.objects.bulk_create([Artist(name="x")]), list[Artist])
    assert_type(await Artist.objects.filter(name="x").update(name="y"), int)
    assert_type(
        await Artist.objects.filter(name="x").delete(), tuple[int, dict[str, int]]
    )
    assert_type(await Artist.objects.filter(name="x").explain(), str)
    assert_type(await Artist.objects.aget(pk=1), Artist)
    assert_type(await Artist.objects.raw("SELECT 1"), list[Artist])


async def read_many() -> None:
    artists = Artist.objects.filter(name="x").order_by("name")
    assert_type(await artists, list[Artist])
    assert_type(await artists[3], Artist)
    assert_type(await artists[:3], list[Artist])
    rows = await Artist.objects.values("name")
    names = await Artist.objects.values_list("name", flat=True)
    assert [row["name"] for row in rows] == names
    async for artist in artists:
        assert_type(artist, Artist)
    async for artist in artists.iterator(chunk_size=100):
        assert_type(artist, Artist)
    assert_type([artist async for artist in Artist.objects.all()], list[Artist])
    for artist in artists:
        assert_type(artist, Artist)


async def read_with_own_manager() -> None:
    assert_type(await Album.objects.recent().newest(), Album | None)
    assert_type(await Album.objects.recent(), list[Album])
    assert_type(await Album.objects.get(pk=1), Album)


async def read_relations(album: Album, cover: Cover, artist: Artist) -> None:
    assert_type(album.title, str)
    assert_type(await album.artist, Artist)
    assert_type(album.artist.name, str)
    assert_type(album.artist_id, int)
    assert_type(await album.label, Label | None)
    if label := await album.label:
        assert_type(label.name, str)
    assert_type(await cover.album, Album)
    assert_type(await album.cover, Cover)
    assert_type(await artist.albums.count(), int)
    assert_type(await artist.albums.all(), list[Album])
    assert_type(await artist.albums.filter(year=1965).first(), Album | None)
    assert_type(await artist.albums.create(title="x"), Album)
    await artist.albums.add(album)
    assert_type(await album.genres.all(), list[Genre])
    assert_type([genre async for genre in album.genres.all()], list[Genre])
    await album.genres.set([])


async def write(album: Album, label: Label) -> None:
    await album.save()
    await label.save(update_fields=["name"])
    await label.refresh_from_db()
    await label.full_clean()
    await label.delete()
    album.label = label
    album.label = None
    album.artist = await Artist.objects.get(pk=1)


def in_sync_mode(album: Album) -> int:
    artist: Artist = Artist.objects.get(pk=1)
    album.artist.save()
    album.artist = artist
    names: list[str] = [artist.name for artist in Artist.objects.all()]
    first: Artist | None = Artist.objects.first()
    if Artist.objects.count() > 3 and first:
        return len(names) + first.albums.count()
    for streamed in Artist.objects.iterator():
        assert_type(streamed, Artist)
    if album.label:
        names.append(album.label.name)
    count: int = album.genres.count()
    return count
