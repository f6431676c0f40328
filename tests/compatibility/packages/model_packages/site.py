from django.http import HttpResponse
from django.urls import path
from django.utils.translation import override
from reversion.models import Version

from tests.compatibility.packages.model_packages import models

"""Each function is a step in a plain view, and in an async view by run() or a thread."""

PARTS = {}


def part(function):
    PARTS[function.__name__] = function
    return function


@part
def mptt():
    root = models.Branch.objects.create(name="root")
    child = models.Branch.objects.create(name="child", parent=root)
    models.Branch.objects.create(name="grandchild", parent=child)
    root.refresh_from_db()
    assert [node.name for node in root.get_descendants()] == ["child", "grandchild"]
    assert child.get_root() == root
    child.move_to(None)
    root.refresh_from_db()
    assert root.is_leaf_node()


@part
def treebeard():
    root = models.Node.add_root(name="root")
    child = root.add_child(name="child")
    child.add_child(name="grandchild")
    root = models.Node.objects.get(pk=root.pk)
    assert [node.name for node in root.get_descendants()] == ["child", "grandchild"]
    assert root.get_children_count() == 1
    child.delete()
    assert not models.Node.objects.get(pk=root.pk).get_descendants()


@part
def polymorphic():
    models.Shape.objects.all().delete()
    models.Shape.objects.create(name="shape")
    models.Circle.objects.create(name="circle", radius=5)
    for _ in range(3):
        found = list(models.Shape.objects.order_by("pk"))
        assert [type(shape).__name__ for shape in found] == ["Shape", "Circle"]
        assert models.Shape.objects.get(name="circle").radius == 5
    assert models.Shape.objects.instance_of(models.Circle).count() == 1


@part
def taggit():
    one = models.Tagged.objects.create(name="one")
    one.tags.add("jazz", "blues")
    for _ in range(3):
        assert set(one.tags.names()) == {"jazz", "blues"}
        assert models.Tagged.objects.filter(tags__name__in=["jazz"], pk=one.pk).exists()
    (found,) = models.Tagged.objects.filter(pk=one.pk).prefetch_related("tags")
    assert len(found.tags.all()) == 2
    one.tags.set(["soul"])
    one.tags.remove("soul")
    assert not one.tags.exists()


@part
def model_utils():
    one = models.Stamped.objects.create(name="one")
    one.name = "two"
    assert one.tracker.changed() == {"name": "one"}
    before = one.modified
    one.save()
    assert one.modified > before
    assert not one.tracker.changed()
    one.delete()
    assert not models.Stamped.available_objects.filter(pk=one.pk).exists()
    assert models.Stamped.all_objects.filter(pk=one.pk).exists()
    restaurant = models.Restaurant.objects.create(name="r", stars=2)
    for _ in range(3):
        found = models.Place.objects.select_subclasses().get(pk=restaurant.pk)
        assert found.stars == 2


@part
def lifecycle():
    one = models.Hooked.objects.create(name="one")
    assert one.log == "created "
    one.name = "two"
    one.save()
    assert models.Tagged.objects.filter(name="renamed to two").exists()


@part
def safedelete():
    one = models.Safe.objects.create(name="one")
    one.delete()
    assert not models.Safe.objects.filter(pk=one.pk).exists()
    assert models.Safe.deleted_objects.filter(pk=one.pk).exists()
    one.undelete()
    assert models.Safe.objects.filter(pk=one.pk).exists()
    models.Safe.objects.filter(pk=one.pk).delete()
    assert models.Safe.all_objects.filter(pk=one.pk).exists()


@part
def ordered_model():
    models.Ordered.objects.all().delete()
    a, b, c = (models.Ordered.objects.create(name=name) for name in "abc")
    c.top()
    assert [one.name for one in models.Ordered.objects.all()] == ["c", "a", "b"]
    a.refresh_from_db()
    a.down()
    assert [one.name for one in models.Ordered.objects.all()] == ["c", "b", "a"]


@part
def solo():
    config = models.Config.get_solo()
    config.name = "changed"
    config.save()
    assert models.Config.get_solo().name == "changed"


@part
def parler():
    one = models.Translated(title="Love")
    one.save()
    one.create_translation("de", title="Liebe")
    for _ in range(3):
        found = models.Translated.objects.get(pk=one.pk)
        assert found.title == "Love"
        with override("de"):
            found = models.Translated.objects.language("de").get(pk=one.pk)
            assert found.title == "Liebe"
    found = models.Translated.objects.translated("de", title="Liebe")
    assert found.filter(pk=one.pk).exists()


@part
def modeltranslation():
    one = models.Columns.objects.create(name_en="Love", name_de="Liebe")
    for _ in range(3):
        found = models.Columns.objects.get(pk=one.pk)
        assert found.name == "Love"
        with override("de"):
            assert models.Columns.objects.filter(name="Liebe", pk=one.pk).exists()
            assert not models.Columns.objects.filter(name="Love", pk=one.pk).exists()
        assert models.Columns.objects.filter(name="Love", pk=one.pk).exists()


@part
def fsm():
    article = models.Article.objects.create(name="article")
    article.publish()
    article.save()
    article = models.Article.objects.get(pk=article.pk)
    assert (article.state, article.name) == ("published", "article!")


@part
def phonenumber_and_countries():
    models.Contact.objects.all().delete()
    models.Contact.objects.create(phone="030 1234567", country="DE")
    for _ in range(3):
        contact = models.Contact.objects.get(country="DE", phone="+49301234567")
        assert contact.phone.as_e164 == "+49301234567"
        assert contact.country.name == "Germany"


@part
def reversion():
    import reversion

    with reversion.create_revision():
        one = models.Versioned.objects.create(name="one")
        reversion.set_comment("first")
    with reversion.create_revision():
        one.name = "two"
        one.save()
    versions = Version.objects.get_for_object(one)
    assert [version.field_dict["name"] for version in versions] == ["two", "one"]
    versions[1].revision.revert()
    one.refresh_from_db()
    assert one.name == "one"


def plain(request, name):
    PARTS[name]()
    return HttpResponse("done")


async def asynchronous(request, name):
    from asgiref.sync import sync_to_async

    try:
        from vinyl.orm import run
    except ImportError:
        run = None
    from django.conf import settings

    if run is None or "vinyl.orm" not in settings.INSTALLED_APPS:
        await sync_to_async(PARTS[name])()
    else:
        await run(PARTS[name])
    return HttpResponse("done")


def save(request):
    return HttpResponse(models.Versioned.objects.create(name="posted").pk)


urlpatterns = [
    path("plain/<name>/", plain),
    path("async/<name>/", asynchronous),
    path("save/", save),
]


def making_step(name):
    def step(site):
        for url in ("plain", "async", "plain"):
            site.ok(f"/{url}/{name}/")

    step.__name__ = f"step_{name}"
    return step


globals().update({f"step_{name}": making_step(name) for name in PARTS})


def step_reversion_middleware(site):
    user = site.login()
    before = Version.objects.count()
    # It takes no part in a GET.
    assert site.post("/save/").status_code == 200
    newest = Version.objects.order_by("-pk").first()
    assert Version.objects.count() > before
    assert newest.revision.user == user
