import time

from celery import Celery
from celery.contrib.django.task import DjangoTask
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from tests.compatibility.shop.models import Album, stock_the_shop

app = Celery("site", broker="memory://", backend="cache+memory://", task_cls=DjangoTask)


@app.task
def date_back(pk):
    album = Album.objects.get(pk=pk)
    album.year = 1900
    album.save()
    return album.title


@app.task
def count():
    return Album.objects.count()


def plain(request, title):
    with transaction.atomic():
        album = Album.objects.create(title=title, artist_id=request.GET["artist"])
        date_back.delay_on_commit(album.pk)
        if title == "broken":
            transaction.set_rollback(True)
    return HttpResponse(album.pk)


async def asynchronous(request, title):
    if not hasattr(transaction.Atomic, "__aenter__"):
        return HttpResponse("no async atomic()", status=501)
    async with transaction.atomic():
        artist = request.GET["artist"]
        album = await Album.objects.acreate(title=title, artist_id=artist)
        date_back.delay_on_commit(album.pk)
    return HttpResponse(album.pk)


def result(request):
    return HttpResponse(date_back.delay(request.GET["pk"]).get(timeout=10))


urlpatterns = [
    path("plain/<title>/", plain),
    path("async/<title>/", asynchronous),
    path("result/", result),
]


def worker(seconds=20):
    """A worker in a thread, as the broker is in memory."""
    from celery.contrib.testing.worker import start_worker

    return start_worker(app, perform_ping_check=False, pool="solo")


def dated_back(title):
    for _ in range(200):
        if Album.objects.filter(title=title, year=1900).exists():
            return True
        time.sleep(0.05)
    return False


def step_on_commit_of_a_plain_view(site):
    artist = stock_the_shop()
    with worker():
        site.ok(f"/plain/plain/?artist={artist.pk}")
        assert dated_back("plain")


def step_rolled_back(site):
    artist = Album.objects.first().artist_id
    with worker():
        site.ok(f"/plain/broken/?artist={artist}")
        site.ok(f"/plain/after/?artist={artist}")
        assert dated_back("after")
    assert not Album.objects.filter(title="broken").exists()


def step_on_commit_of_an_async_view(site):
    artist = Album.objects.first().artist_id
    with worker():
        site.ok(f"/async/async/?artist={artist}")
        assert dated_back("async")
