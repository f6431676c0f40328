"""
What the shop knows: artists, labels, genres, albums, their tracks and reviews, and what
its customers wish for.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import (
    FileExtensionValidator,
    MaxValueValidator,
    MinValueValidator,
)
from django.utils import timezone
from vinyl.orm import models
from vinyl.web import reverse


class Artist(models.Model):
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100, unique=True)
    town = models.CharField(max_length=100)

    albums: models.RelatedManager[Album]

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("records:artist", kwargs={"slug": self.slug})


class Label(models.Model):
    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Genre(models.Model):
    name = models.CharField(max_length=50, unique=True)
    slug = models.SlugField(unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Album(models.Model):
    artist = models.ForeignKey(Artist, models.CASCADE, related_name="albums")
    # NULL if the album was released without a label.
    label = models.ForeignKey(
        Label, models.SET_NULL, related_name="albums", null=True, blank=True
    )
    genres = models.ManyToManyField(Genre, related_name="albums")
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200, unique=True)
    year = models.PositiveSmallIntegerField()
    price = models.DecimalField(max_digits=6, decimal_places=2)
    # Albums without a picture get a cover drawn by the style sheet.
    cover = models.FileField(
        upload_to="covers/",
        blank=True,
        validators=[FileExtensionValidator(["gif", "jpeg", "jpg", "png", "webp"])],
    )

    tracks: models.RelatedManager[Track]
    reviews: models.RelatedManager[Review]

    class Meta:
        ordering = ["-year", "title"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("records:album", kwargs={"slug": self.slug})


class Track(models.Model):
    album = models.ForeignKey(Album, models.CASCADE, related_name="tracks")
    position = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=200)
    seconds = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["album", "position"], name="one_track_per_position"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def length(self) -> str:
        """Minutes and seconds, such as "3:05"."""
        return f"{self.seconds // 60}:{self.seconds % 60:02}"


class Review(models.Model):
    album = models.ForeignKey(Album, models.CASCADE, related_name="reviews")
    album_id: int
    author = models.CharField("your name", max_length=60)
    rating = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    text = models.TextField("your review", max_length=2000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.author} on {self.album}"


class Wish(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="wishes"
    )
    album = models.ForeignKey(Album, models.CASCADE, related_name="wishes")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "wishes"
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "album"], name="one_wish_per_album_and_user"
            )
        ]

    def __str__(self) -> str:
        return f"{self.album} for {self.user}"
