"""Models that leave to vinyl.mypy_plugin what the other side of a relation declares."""

from __future__ import annotations

from django.contrib.auth.models import User

from vinyl.orm import models


class Author(models.Model):
    name = models.CharField(max_length=100)
    user = models.OneToOneField(User, models.CASCADE, related_name="author")


class BookQuerySet(models.QuerySet["Book"]):
    def recent(self) -> BookQuerySet:
        return self.filter(year__gte=2000)


class Book(models.Model):
    author = models.ForeignKey("plain.Author", models.CASCADE, related_name="books")
    editor = models.ForeignKey("Author", models.SET_NULL, null=True, related_name="+")
    readers = models.ManyToManyField("plain.Author", related_name="read")
    owner = models.ForeignKey(User, models.CASCADE, related_name="books")
    year = models.IntegerField(null=True)

    objects = BookQuerySet.as_manager()
