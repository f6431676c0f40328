from django.db import models

from tests.compatibility.shop.models import Album


class Track(models.Model):
    album = models.ForeignKey(Album, models.CASCADE)
    title = models.CharField(max_length=100)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position"]


class Take(models.Model):
    track = models.ForeignKey(Track, models.CASCADE)
    number = models.IntegerField()
