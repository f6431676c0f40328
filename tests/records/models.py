"""Artists, labels, albums, tracks and reviews, with every kind of relation."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc, override"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

import datetime

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType

from vinyl.orm import models


class Artist(models.Model):
    name = models.CharField(max_length=100, unique=True)
    albums: models.RelatedManager[Album]

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Biography(models.Model):
    artist = models.OneToOneField(Artist, models.CASCADE, related_name="biography")
    text = models.TextField()

    def __str__(self) -> str:
        return f"Biography of {self.artist.name}"


class Label(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Genre(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class AlbumQuerySet(models.QuerySet):
    def from_the_sixties(self) -> AlbumQuerySet:
        return self.filter(year__range=(1960, 1969))

    def delete(self) -> tuple[int, dict[str, int]]:
        """An override in sync code, with something to do after the query."""
        deleted, by_model = super().delete()
        return deleted, dict(by_model)


class Album(models.Model):
    title = models.CharField(max_length=200)
    year = models.IntegerField(default=1965)
    notes = models.TextField(default="")
    released = models.DateField(default=datetime.date(1965, 10, 1))
    artist = models.ForeignKey(Artist, models.CASCADE, related_name="albums")
    label = models.ForeignKey(Label, models.SET_NULL, null=True, related_name="albums")
    genres = models.ManyToManyField(Genre, related_name="albums")
    tags = GenericRelation("Tag")
    tracks: models.RelatedManager[Track]

    objects = AlbumQuerySet.as_manager()

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return f"{self.title} by {self.artist.name}"


class Track(models.Model):
    title = models.CharField(max_length=200)
    album = models.ForeignKey(Album, models.CASCADE, related_name="tracks")
    position = models.IntegerField(default=1)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.title


class Booklet(models.Model):
    """A model with a file, of which its album knows nothing."""

    album = models.ForeignKey(Album, models.DO_NOTHING, related_name="+")
    scan = models.FileField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Booklet of {self.album.title}"


class Tag(models.Model):
    word = models.CharField(max_length=50)
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    target = GenericForeignKey()

    def __str__(self) -> str:
        return self.word


class Stamped(models.Model):
    """An abstract model whose save() is sync code with a query of its own."""

    revision = models.IntegerField(default=0)

    class Meta:
        abstract = True

    def save(self, *args: object, **kwargs: object) -> None:
        self.revision = type(self).objects.count() + 1
        super().save(*args, **kwargs)
        self.refresh_from_db()


class Review(Stamped):
    album = models.ForeignKey(Album, models.CASCADE, related_name="reviews")
    text = models.TextField()

    def __str__(self) -> str:
        return self.text


class Memo(models.Model):
    """A model whose save() and delete() are async code."""

    text = models.TextField()
    saves = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.text

    async def save(self, *args: object, **kwargs: object) -> None:
        self.saves += 1
        await super().save(*args, **kwargs)

    async def delete(self, *args: object, **kwargs: object) -> object:
        return await super().delete(*args, **kwargs)


class Account(models.Model):
    """One of the accounts of a ledger, whose balances have a constant sum."""

    balance = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.pk}: {self.balance}"


class Entry(models.Model):
    """What a transfer, known by its mark, did to an account."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="entries")
    mark = models.CharField(max_length=40, db_index=True)
    amount = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.mark}: {self.amount}"
