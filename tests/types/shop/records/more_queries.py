"""What calls give, beyond `queries.py`: rows, relations, own methods, forms, mail."""

from __future__ import annotations

import datetime
from typing import Any, assert_type

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db.models.signals import post_save
from django.http import QueryDict

from vinyl.orm import Dual, connection, models, prefetch_related_objects
from vinyl.web import Request, forms
from vinyl.web.auth import logout, update_session_auth_hash
from vinyl.web.mail import EmailMessage, EmailMultiAlternatives, send_mail

from .models import Album, Artist, Genre, Label, Wish


async def read_rows() -> None:
    # What a row consists of, only a plugin knows: see `plain/queries.py`.
    rows: list[Any] = [*await Artist.objects.values("name")]
    rows += await Artist.objects.values_list("id", "name")
    rows += await Artist.objects.values_list("name", flat=True)
    rows += [row async for row in Artist.objects.values_list("name").iterator(100)]
    assert rows
    assert_type(await Album.objects.dates("created", "year"), list[datetime.date])


async def read_parts() -> None:
    artists = Artist.objects.order_by("name")
    assert_type(await artists.filter(name="x")[0:5], list[Artist])
    assert_type(await artists.filter(name="x")[0], Artist)
    assert_type(await (artists | artists.filter(name="x")), list[Artist])
    assert_type(await artists.union(artists).exclude(name="x"), list[Artist])
    assert_type(await artists.using("other").select_for_update(), list[Artist])
    assert_type(await artists.latest("id"), Artist)
    assert_type(await artists.contains(Artist()), bool)
    assert_type(await artists.bulk_update([], ["name"]), int)
    assert_type(await artists.in_bulk(), dict[Any, Artist])
    total = await Album.objects.aggregate(total=models.Sum("year"))
    assert_type(total["total"], Any)


async def prefetch(artist: Artist, album: Album) -> None:
    recent = models.Prefetch("albums", Album.objects.filter(year__gt=1965), "recent")
    artists: list[Artist] = [*await Artist.objects.prefetch_related(recent, "albums")]
    await prefetch_related_objects(artists, "albums", recent)
    for each in artists[0].albums.all():
        assert_type(each, Album)


async def use_relations(artist: Artist, album: Album, genre: Genre) -> None:
    assert_type(await artist.albums.add(album, bulk=False), None)
    assert_type(await artist.albums.set([album], clear=True), None)
    assert_type(await artist.albums.get_or_create(title="x"), tuple[Album, bool])
    assert_type(await artist.albums.update(year=1965), int)
    assert_type(await artist.albums.all()[:5], list[Album])
    assert_type(await album.genres.add(genre), None)
    assert_type(await album.genres.remove(genre, 5), None)
    assert_type(await album.genres.clear(), None)
    assert_type(await album.genres.set(Genre.objects.all()), None)
    assert_type(await album.genres.create(name="x"), Genre)
    assert_type(await album.genres.get_or_create(name="x"), tuple[Genre, bool])
    assert_type(await album.genres.filter(name="x").exists(), bool)
    assert_type(await genre.albums.order_by("title").first(), Album | None)
    async for each in genre.albums.select_related("artist"):
        assert_type(each.artist.name, str)


class ArtistQuerySet(models.QuerySet[Artist]):
    def prolific(self) -> ArtistQuerySet:
        return self.annotate(n=models.Count("albums")).filter(n__gt=10)

    async def names(self) -> list[str]:
        return [artist.name async for artist in self]

    def longest(self) -> Dual[Artist | None]:
        return self.order_by("-name").first()


class ArtistManager(models.Manager["Artist"]):
    async def count_prolific(self) -> int:
        return await self.filter(albums__year__gt=1965).count()


async def use_own_methods(artists: ArtistQuerySet, manager: ArtistManager) -> None:
    assert_type(await artists.prolific().names(), list[str])
    assert_type(await artists.prolific(), list[Artist])
    assert_type(await artists.longest(), Artist | None)
    assert_type(await manager.count_prolific(), int)


class TrackForm(forms.Form):
    title = forms.CharField()


async def validate(request: Request, album: Album) -> None:
    form = TrackForm(await request.form())
    assert_type(await form.is_valid(), bool)
    TrackFormSet = forms.formset_factory(TrackForm, extra=2)
    formset = TrackFormSet(await request.form() or None)
    assert_type(await formset.is_valid(), bool)
    AlbumFormSet = forms.modelformset_factory(Album, fields=["title"])
    albums = AlbumFormSet(QueryDict(), queryset=Album.objects.all())
    if await albums.is_valid():
        saved: list[Album] = await albums.save()
        assert saved
        await albums.save_m2m()
    Wishes = forms.inlineformset_factory(Album, Wish, fields=["user"])
    wishes = Wishes(instance=album)
    if await wishes.is_valid():
        wished: list[Wish] = await wishes.save(commit=False)
        assert wished
    assert_type(await forms.all_valid([albums, wishes]), bool)
    AlbumForm = forms.modelform_factory(Album, fields=["title"])
    changed: Album = await AlbumForm(QueryDict(), instance=album).save()
    assert changed


async def use_the_request(request: Request) -> None:
    session = await request.session
    assert_type(await session.exists("key"), bool)
    session["n"] = session.get("n", 0) + 1
    await session.flush()
    await session.aset("n", 1)
    await logout(request)
    user = await request.user
    if isinstance(user, User):
        await update_session_auth_hash(request, user)


async def use_the_rest(label: Label) -> None:
    await post_save.asend(Label, instance=label)
    await cache.aset("n", 1)
    assert_type(await EmailMultiAlternatives("a").send(fail_silently=True), int)
    assert_type(await send_mail("a", "b", None, ["c"]), int)
    assert_type(await EmailMessage("a").send(), int)
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT 1")
        assert_type(await cursor.fetchone(), Any)
    assert_type(await ContentType.objects.aget(model="x"), ContentType)
