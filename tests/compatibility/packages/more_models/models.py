import rules
from dirtyfields import DirtyFieldsMixin
from django.db import models
from rules.contrib.models import RulesModel


class Category(models.Model):
    name = models.CharField(max_length=20)
    parent = models.ForeignKey("self", models.CASCADE, null=True)


class Dirty(DirtyFieldsMixin, models.Model):
    name = models.CharField(max_length=20)
    category = models.ForeignKey(Category, models.CASCADE, null=True)


class Document(models.Model):
    file = models.FileField(upload_to="documents")


@rules.predicate
def is_owner(user, book):
    return book is not None and book.owner.username == user.username


class Book(RulesModel):
    owner = models.ForeignKey("auth.User", models.CASCADE)

    class Meta:
        rules_permissions = {"change": is_owner}
