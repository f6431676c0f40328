"""Each function is a step in a plain view, and in an async view by run() or a thread."""

import io
from pathlib import Path

from actstream import action
from actstream.actions import follow
from actstream.models import user_stream
from actstream.registry import register
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.models import User
from django.core import mail
from django.core.files.base import ContentFile
from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks
from django_celery_results.models import TaskResult
from django_cte import CTE, with_cte
from easy_thumbnails.files import get_thumbnailer
from mailer.engine import send_all
from mailer.models import Message

from tests.compatibility.packages.more_models import models

PARTS = {}
register(User, models.Book)


def part(function):
    PARTS[function.__name__] = function
    return function


def user(name):
    return User.objects.get_or_create(username=name)[0]


@part
def cte():
    root = models.Category.objects.create(name="root")
    child = models.Category.objects.create(name="child", parent=root)
    models.Category.objects.create(name="grandchild", parent=child)

    def tree(cte):
        below = cte.join(models.Category, parent=cte.col.pk).values("pk", "name")
        start = models.Category.objects.filter(pk=root.pk).values("pk", "name")
        return start.union(below, all=True)

    found = CTE.recursive(tree)
    for _ in range(3):
        rows = with_cte(found, select=found.queryset()).order_by("pk")
        assert [row["name"] for row in rows] == ["root", "child", "grandchild"]


@part
def dirty():
    one = models.Dirty.objects.create(name="one")
    assert not one.is_dirty()
    one.name = "two"
    assert one.get_dirty_fields() == {"name": "one"}
    one.save_dirty_fields()
    assert not one.is_dirty()
    for _ in range(3):
        found = models.Dirty.objects.get(pk=one.pk)
        found.category = models.Category.objects.create(name="new")
        assert found.get_dirty_fields(check_relationship=True) == {"category": None}


@part
def activity_stream():
    nina, etta = user("nina"), user("etta")
    book = models.Book.objects.create(owner=etta)
    follow(nina, etta)
    action.send(etta, verb="wrote", target=book)
    verbs = [one.verb for one in user_stream(nina)]
    assert "wrote" in verbs
    assert etta.actor_actions.filter(verb="wrote").exists()
    (found, *_) = book.target_actions.all()
    assert found.actor == etta


@part
def cleanup():
    one = models.Document.objects.create(file=ContentFile(b"one", "one.txt"))
    first = Path(one.file.path)
    with transaction.atomic():
        one.file = ContentFile(b"two", "two.txt")
        one.save()
        assert first.exists()
    assert not first.exists()
    second = Path(one.file.path)
    one.delete()
    assert not second.exists()


@part
def thumbnails():
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (100, 50)).save(picture, "PNG")
    name = "cover.png"
    one = models.Document.objects.create(file=ContentFile(picture.getvalue(), name))
    for _ in range(2):
        found = get_thumbnailer(one.file).get_thumbnail({"size": (20, 20)})
        assert (found.width, found.height) == (20, 10)
    assert one.file.name in str(apps.get_model("easy_thumbnails.Source").objects.last())


@part
def rules_of_an_object():
    nina, etta = user("nina"), user("etta")
    book = models.Book.objects.create(owner=nina)
    permission = "site.change_book"
    assert nina.has_perm(permission, models.Book.objects.get(pk=book.pk))
    assert not etta.has_perm(permission, models.Book.objects.get(pk=book.pk))


@part
def celery_beat():
    before = PeriodicTasks.last_change()
    cron, _ = CrontabSchedule.objects.get_or_create(minute="5", hour="*")
    name = f"nightly {PeriodicTask.objects.count()}"
    task = PeriodicTask.objects.create(crontab=cron, name=name, task="shop.tasks.count")
    assert PeriodicTasks.last_change() != before
    assert PeriodicTask.objects.enabled().filter(pk=task.pk).exists()
    assert task.schedule.hour == set(range(24))


@part
def celery_results():
    TaskResult.objects.store_result("json", "utf-8", "an id", "1", "STARTED")
    TaskResult.objects.store_result("json", "utf-8", "an id", "2", "SUCCESS")
    assert TaskResult.objects.get_task("an id").status == "SUCCESS"


@part
def mailer():
    mail.outbox.clear()
    Message.objects.all().delete()
    sent = mail.EmailMessage("Subject", "Text", "a@example.org", ["b@example.org"])
    backend = mail.get_connection("mailer.backend.DbBackend")
    assert backend.send_messages([sent]) == 1
    send_all()
    assert [message.subject for message in mail.outbox] == ["Subject"]
    assert not Message.objects.exists()


def plain(request, name):
    PARTS[name]()
    return HttpResponse("done")


async def asynchronous(request, name):
    await sync_to_async(PARTS[name])()
    return HttpResponse("done")


urlpatterns = [
    path("plain/<name>/", plain),
    path("async/<name>/", asynchronous),
]


def making_step(name):
    def step(site):
        assert site.ok(f"/plain/{name}/").text == "done"
        assert site.ok(f"/async/{name}/").text == "done"

    step.__name__ = f"step_{name}"
    return step


globals().update({f"step_{name}": making_step(name) for name in PARTS})
