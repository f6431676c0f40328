from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from django_tasks import task
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

from tests.compatibility.shop.models import Album, stock_the_shop


@task()
def date_back(pk):
    Album.objects.filter(pk=pk).update(year=1900)
    return pk


@task()
async def async_date_back(pk):
    await Album.objects.filter(pk=pk).aupdate(year=1800)
    return pk


def plain(request, pk):
    return HttpResponse(date_back.enqueue(pk).id)


async def asynchronous(request, pk):
    return HttpResponse((await async_date_back.aenqueue(pk)).id)


async def rolled_back(request, pk):
    if not hasattr(transaction.Atomic, "__aenter__"):
        return HttpResponse("no async atomic()", status=501)
    async with transaction.atomic():
        await date_back.aenqueue(pk)
        transaction.set_rollback(True)
    return HttpResponse("rolled back")


urlpatterns = [
    path("plain/<int:pk>/", plain),
    path("async/<int:pk>/", asynchronous),
    path("rolled-back/<int:pk>/", rolled_back),
]


def work():
    Worker(
        queue_names=["default"],
        excluded_queue_names=[],
        interval=0,
        batch=True,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id="site",
    ).run()


def step_enqueue_in_a_plain_view(site):
    stock_the_shop()
    album = Album.objects.first()
    task_id = site.ok(f"/plain/{album.pk}/").text
    work()
    assert DBTaskResult.objects.get(pk=task_id).status == "SUCCESSFUL"
    album.refresh_from_db()
    assert album.year == 1900


def step_enqueue_in_an_async_view(site):
    album = Album.objects.first()
    task_id = site.ok(f"/async/{album.pk}/").text
    work()
    assert DBTaskResult.objects.get(pk=task_id).status == "SUCCESSFUL"
    album.refresh_from_db()
    assert album.year == 1800


def step_rolled_back_async_block(site):
    before = DBTaskResult.objects.count()
    site.ok(f"/rolled-back/{Album.objects.first().pk}/")
    assert DBTaskResult.objects.count() == before
