import asyncio

from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from tests.compatibility.shop.models import Album, stock_the_shop


@app.task
def date_back(pk):
    Album.objects.filter(pk=pk).update(year=1900)


@app.task
async def async_date_back(pk):
    await Album.objects.filter(pk=pk).aupdate(year=1800)


def plain(request, pk):
    with transaction.atomic():
        date_back.defer(pk=pk)
        transaction.set_rollback("undo" in request.GET)
    return HttpResponse("deferred")


async def asynchronous(request, pk):
    await async_date_back.defer_async(pk=pk)
    return HttpResponse("deferred")


async def in_block(request, pk):
    if not hasattr(transaction.Atomic, "__aenter__"):
        return HttpResponse("no async atomic()", status=501)
    async with transaction.atomic():
        await async_date_back.defer_async(pk=pk)
        transaction.set_rollback("undo" in request.GET)
    return HttpResponse("deferred")


urlpatterns = [
    path("plain/<int:pk>/", plain),
    path("async/<int:pk>/", asynchronous),
    path("block/<int:pk>/", in_block),
]


def work():
    async def run_worker():
        with app.replace_connector(app.connector.get_worker_connector()) as worker:
            async with worker.open_async():
                await worker.run_worker_async(wait=False, install_signal_handlers=False)

    asyncio.run(run_worker())


def check(site, url, year):
    album = stock_the_shop().albums.first()
    ProcrastinateJob.objects.count()
    site.ok(f"{url}{album.pk}/")
    work()
    album.refresh_from_db()
    assert album.year == year, album.year


def step_plain_view(site):
    check(site, "/plain/", 1900)


def step_async_view(site):
    check(site, "/async/", 1800)


def step_async_block(site):
    check(site, "/block/", 1800)


def rolled_back(site, url):
    before = ProcrastinateJob.objects.count()
    site.ok(f"{url}{Album.objects.first().pk}/?undo")
    assert ProcrastinateJob.objects.count() == before


def step_rolled_back_plain_view(site):
    rolled_back(site, "/plain/")


def step_rolled_back_async_block(site):
    rolled_back(site, "/block/")
