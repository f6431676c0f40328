# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-def, var-annotated"

from django.db import models


class Artist(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        db_table = "artist"

    def __str__(self):
        return self.name


class Album(models.Model):
    title = models.CharField(max_length=200)
    year = models.IntegerField()
    released = models.DateField()
    rating = models.FloatField()
    artist = models.ForeignKey(Artist, models.CASCADE)

    class Meta:
        db_table = "album"

    def __str__(self):
        return self.title


class Track(models.Model):
    title = models.CharField(max_length=200)
    position = models.IntegerField()
    album = models.ForeignKey(Album, models.CASCADE, related_name="tracks")

    class Meta:
        db_table = "track"

    def __str__(self):
        return self.title


class Counter(models.Model):
    number = models.IntegerField()

    class Meta:
        db_table = "counter"

    def __str__(self):
        return f"{self.pk}: {self.number}"


class Entry(models.Model):
    name = models.CharField(max_length=100)
    number = models.IntegerField()
    amount = models.FloatField()
    day = models.DateField()

    class Meta:
        db_table = "entry"

    def __str__(self):
        return self.name
