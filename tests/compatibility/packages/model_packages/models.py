from django.db import models
from django_countries.fields import CountryField
from django_fsm import FSMField, transition
from django_lifecycle import AFTER_UPDATE, BEFORE_CREATE, LifecycleModel, hook
from model_utils import FieldTracker
from model_utils.managers import InheritanceManager
from model_utils.models import SoftDeletableModel, TimeStampedModel
from mptt.models import MPTTModel, TreeForeignKey
from ordered_model.models import OrderedModel
from parler.models import TranslatableModel, TranslatedFields
from phonenumber_field.modelfields import PhoneNumberField
from polymorphic.models import PolymorphicModel
from reversion import register
from safedelete.models import SOFT_DELETE_CASCADE, SafeDeleteModel
from solo.models import SingletonModel
from taggit.managers import TaggableManager
from treebeard.mp_tree import MP_Node


class Base(models.Model):
    name = models.CharField(max_length=50, default="")

    class Meta:
        abstract = True
        app_label = "site"

    def __str__(self):
        return self.name


class Branch(MPTTModel, Base):
    parent = TreeForeignKey("self", models.CASCADE, null=True, related_name="children")

    class Meta:
        app_label = "site"


class Node(MP_Node):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "site"


class Shape(PolymorphicModel, Base):
    class Meta:
        app_label = "site"


class Circle(Shape):
    radius = models.IntegerField(default=1)

    class Meta:
        app_label = "site"


class Tagged(Base):
    tags = TaggableManager()

    class Meta:
        app_label = "site"


class Stamped(TimeStampedModel, SoftDeletableModel, Base):
    tracker = FieldTracker()

    class Meta:
        app_label = "site"


class Place(Base):
    objects = InheritanceManager()

    class Meta:
        app_label = "site"


class Restaurant(Place):
    stars = models.IntegerField(default=3)

    class Meta:
        app_label = "site"


class Hooked(LifecycleModel, Base):
    log = models.CharField(max_length=50, default="")

    class Meta:
        app_label = "site"

    @hook(BEFORE_CREATE)
    def creating(self):
        self.log += "created "

    @hook(AFTER_UPDATE, when="name", has_changed=True)
    def renamed(self):
        Tagged.objects.create(name=f"renamed to {self.name}")


class Safe(SafeDeleteModel, Base):
    _safedelete_policy = SOFT_DELETE_CASCADE

    class Meta:
        app_label = "site"


class Ordered(OrderedModel, Base):
    class Meta(OrderedModel.Meta):
        app_label = "site"


class Config(SingletonModel):
    name = models.CharField(max_length=50, default="none")

    class Meta:
        app_label = "site"


class Translated(TranslatableModel):
    translations = TranslatedFields(title=models.CharField(max_length=50))

    class Meta:
        app_label = "site"


class Columns(Base):
    class Meta:
        app_label = "site"


class Article(Base):
    state = FSMField(default="draft")

    class Meta:
        app_label = "site"

    @transition(field=state, source="draft", target="published")
    def publish(self):
        self.name += "!"


class Contact(Base):
    phone = PhoneNumberField(blank=True)
    country = CountryField(blank=True)

    class Meta:
        app_label = "site"


@register
class Versioned(Base):
    class Meta:
        app_label = "site"
