from concurrency.fields import IntegerVersionField
from django.db import models
from django_jsonform.models.fields import JSONField
from multiselectfield import MultiSelectField


class Stock(models.Model):
    title = models.CharField(max_length=100)
    shelves = MultiSelectField(
        choices=[("a", "A"), ("b", "B"), ("c", "C")], max_length=9
    )
    labels = JSONField(schema={"type": "array", "items": {"type": "string"}})
    version = IntegerVersionField()

    class Meta:
        app_label = "site"

    def __str__(self):
        return self.title
