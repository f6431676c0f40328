from django.db import models
from djmoney.models.fields import MoneyField
from djmoney.models.managers import money_manager


class PricedQuerySet(models.QuerySet):
    def cheap(self):
        return self.filter(price__lt=10)


class Product(models.Model):
    name = models.CharField(max_length=100)
    price = MoneyField(max_digits=10, decimal_places=2, default_currency="EUR")
    objects = money_manager(PricedQuerySet.as_manager())

    class Meta:
        app_label = "site"

    def __str__(self):
        return self.name
