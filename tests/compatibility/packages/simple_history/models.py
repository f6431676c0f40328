from django.db import models
from simple_history.models import HistoricalRecords


class Poll(models.Model):
    title = models.CharField(max_length=100)
    history = HistoricalRecords()

    class Meta:
        app_label = "site"

    def __str__(self):
        return self.title
