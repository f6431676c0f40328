"""Each function is a step in a plain view, and in an async view by a thread."""

import io

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.http import HttpResponse
from django.template import engines
from django.urls import path
from django_q.brokers import get_broker
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task, schedule
from PIL import Image
from sorl.thumbnail import get_thumbnail
from sorl.thumbnail.models import KVStore

from tests.compatibility.packages.everyday_models.models import Cover, Genre

PARTS = {}


def part(function):
    PARTS[function.__name__] = function
    return function


def picture():
    content = io.BytesIO()
    Image.new("RGB", (100, 50), "red").save(content, "PNG")
    return ContentFile(content.getvalue(), "cover.png")


@part
def tree_queries():
    Genre.objects.all().delete()
    blues = Genre.objects.create(name="blues")
    jazz = Genre.objects.create(name="jazz", parent=blues)
    Genre.objects.create(name="bebop", parent=jazz)
    for _ in range(3):
        found = Genre.objects.with_tree_fields()
        assert [(one.name, one.tree_depth) for one in found] == [
            ("blues", 0),
            ("jazz", 1),
            ("bebop", 2),
        ]
    assert [one.name for one in jazz.ancestors()] == ["blues"]
    assert {one.name for one in blues.descendants()} == {"jazz", "bebop"}


@part
def imagekit():
    cover = Cover.objects.create(image=picture())
    found = Cover.objects.get(pk=cover.pk)
    assert (found.image.width, found.image.height) == (40, 40)
    with Image.open(found.small) as small:
        assert small.size == (10, 10)


@part
def sorl():
    cover = Cover.objects.create(image=picture(), plain=picture())
    before = KVStore.objects.count()
    for _ in range(2):
        thumbnail = get_thumbnail(cover.plain, "20x20", crop="center")
        assert (thumbnail.width, thumbnail.height) == (20, 20)
    assert KVStore.objects.count() > before


@part
def q2():
    OrmQ.objects.all().delete()
    Schedule.objects.all().delete()
    async_task("math.gcd", 12, 18)
    (task,) = OrmQ.objects.all()
    assert task.func() == "math.gcd"
    ((key, _),) = get_broker().dequeue()
    get_broker().acknowledge(key)
    assert get_broker().queue_size() == 0
    schedule("math.gcd", 1, 2, schedule_type=Schedule.DAILY)
    assert Schedule.objects.get().func == "math.gcd"


@part
def compressor():
    page = engines["django"].from_string(
        "{% load compress %}{% compress css inline %}"
        "<style>b   {   color:   red   }</style>{% endcompress %}"
    )
    assert "color:red" in page.render({})


def plain(request, name):
    PARTS[name]()
    return HttpResponse("done")


async def asynchronous(request, name):
    await sync_to_async(PARTS[name])()
    return HttpResponse("done")


async def async_tree(request):
    names = [one.name async for one in Genre.objects.with_tree_fields()]
    return HttpResponse(",".join(names))


urlpatterns = [
    path("plain/<name>/", plain),
    path("async/<name>/", asynchronous),
    path("async-tree/", async_tree),
]


def making_step(name):
    def step(site):
        assert site.ok(f"/plain/{name}/").text == "done"
        assert site.ok(f"/async/{name}/").text == "done"

    step.__name__ = f"step_{name}"
    return step


globals().update({f"step_{name}": making_step(name) for name in PARTS})


def step_async_tree(site):
    site.ok("/plain/tree_queries/")
    site.ok("/async-tree/", "blues,jazz,bebop")
