"""Models of a project that is checked strictly, with each kind of relation."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from vinyl.orm import models


class Artist(models.Model):
    id: int
    name = models.CharField(max_length=100)
    albums: models.RelatedManager[Album]

    def __str__(self) -> str:
        return self.name


class Label(models.Model):
    id: int
    name = models.CharField(max_length=100)
    albums: models.RelatedManager[Album]

    def __str__(self) -> str:
        return self.name


class Genre(models.Model):
    id: int
    name = models.CharField(max_length=100)
    albums: models.ManyRelatedManager[Album]

    def __str__(self) -> str:
        return self.name


class AlbumQuerySet(models.QuerySet["Album"]):
    def recent(self) -> AlbumQuerySet:
        return self.filter(year__gte=2000)

    def newest(self) -> models.Dual[Album | None]:
        return self.order_by("-year").first()


class AlbumManager(models.Manager["Album"]):
    def get_queryset(self) -> AlbumQuerySet:
        return AlbumQuerySet(self.model, using=self._db)

    def recent(self) -> AlbumQuerySet:
        return self.get_queryset().recent()


class Album(models.Model):
    id: int
    artist = models.ForeignKey(Artist, models.CASCADE, related_name="albums")
    artist_id: int
    label = models.ForeignKey(
        Label, models.SET_NULL, null=True, blank=True, related_name="albums"
    )
    label_id: int | None
    genres = models.ManyToManyField(Genre, related_name="albums")
    title = models.CharField(max_length=100)
    year = models.IntegerField(default=1965)
    notes = models.TextField(blank=True)
    cover: Cover
    wishes: models.RelatedManager[Wish]

    objects = AlbumManager()

    def __str__(self) -> str:
        return f"{self.title} by {self.artist.name}"

    def save(self, *args: Any, **kwargs: Any) -> Any:
        self.title = self.title.strip()
        return super().save(*args, **kwargs)


class Cover(models.Model):
    id: int
    album = models.OneToOneField(Album, models.CASCADE, related_name="cover")
    album_id: int
    path = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.path

    def clean(self) -> None:
        self.path = self.path.lower()


class Wish(models.Model):
    id: int
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    album = models.ForeignKey(Album, models.CASCADE, related_name="wishes")

    def __str__(self) -> str:
        return f"{self.album} for {self.user}"
