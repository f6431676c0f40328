# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="override"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import threading
from typing import Any

from django.db import models


class Artist(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Album(models.Model):
    artist = models.ForeignKey(Artist, models.CASCADE, related_name="albums")
    title = models.CharField(max_length=200)

    # The thread that made this object from a row.
    loaded_in = ""

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return f"{self.title} by {self.artist.name}"

    @classmethod
    def from_db(cls, *args: Any) -> Album:
        album = super().from_db(*args)
        album.loaded_in = threading.current_thread().name
        return album
