"""Artists and albums."""

from __future__ import annotations

from django.db import models


class Artist(models.Model):
    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Album(models.Model):
    title = models.CharField(max_length=200)
    year = models.IntegerField(default=1965)
    artist = models.ForeignKey(Artist, models.CASCADE, related_name="albums")
    cover = models.FileField(upload_to="covers", blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.title} by {self.artist.name}"


def stock_the_shop() -> Artist:
    """An artist with three albums, made anew."""
    Artist.objects.all().delete()
    artist = Artist.objects.create(name="Nina Simone")
    for title, year in (("Pastel Blues", 1965), ("Wild", 1966), ("Silk", 1967)):
        artist.albums.create(title=title, year=year)
    return artist
