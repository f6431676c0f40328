import pghistory
import pgtrigger
from django.db import models


@pghistory.track()
class Price(models.Model):
    amount = models.IntegerField()


class Receipt(models.Model):
    text = models.CharField(max_length=50)

    class Meta:
        triggers = [pgtrigger.Protect(name="no_deletes", operation=pgtrigger.Delete)]
