# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-def, var-annotated"

from vinyl.orm import models


class Artist(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        db_table = "artist"

    def __str__(self):
        return self.name


class Album(models.Model):
    title = models.CharField(max_length=200)
    year = models.IntegerField()
    artist = models.ForeignKey(Artist, models.CASCADE)

    class Meta:
        db_table = "album"

    def __str__(self):
        return self.title
