import asyncio
from concurrent.futures import ThreadPoolExecutor

import pghistory
import pgtrigger
from asgiref.sync import sync_to_async
from django.db import DatabaseError, transaction
from django.http import HttpResponse
from django.urls import path
from pghistory.models import Context, Events

from tests.compatibility.packages.pghistory.models import Price, Receipt


def raise_price(amount):
    price = Price.objects.create(amount=amount)
    price.amount += 1
    price.save()
    return price.pk


def plain(request):
    return HttpResponse(raise_price(10))


async def threaded(request):
    return HttpResponse(await sync_to_async(raise_price)(20))


async def asynchronous(request):
    price = await Price.objects.acreate(amount=30)
    price.amount += 1
    await price.asave()
    return HttpResponse(price.pk)


async def many(request, amount):
    price = await Price.objects.acreate(amount=amount)
    await asyncio.sleep(0.05)
    price.amount += 1
    await price.asave()
    return HttpResponse(price.pk)


def refused(request):
    receipt = Receipt.objects.create(text="paid")
    try:
        with transaction.atomic():
            receipt.delete()
    except DatabaseError:
        return HttpResponse("refused")
    return HttpResponse("deleted")


def ignored(request):
    with pgtrigger.ignore("site.Receipt:no_deletes"):
        Receipt.objects.all().delete()
    return HttpResponse(Receipt.objects.count())


def named(request):
    with pghistory.context(why="sale"):
        price = Price.objects.create(amount=1)
    return HttpResponse(price.pk)


urlpatterns = [
    path("plain/", plain),
    path("threaded/", threaded),
    path("async/", asynchronous),
    path("many/<int:amount>/", many),
    path("refused/", refused),
    path("ignored/", ignored),
    path("named/", named),
]


def contexts(pk):
    events = Events.objects.tracks(Price(pk=int(pk))).order_by("pgh_created_at")
    return [event.pgh_context for event in events]


def step_history_names_url_and_user(site):
    user = site.login()
    for url in ("/plain/", "/threaded/", "/async/"):
        response = site.post(url)
        assert response.status_code == 200, response.text[:500]
        found = contexts(response.text)
        assert len(found) == 2, found
        for context in found:
            assert context["url"] == url, context
            assert context["user"] == user.pk, context
    site.logout()


def step_requests_at_the_same_time_keep_their_contexts(site):
    urls = [f"/many/{amount}/" for amount in range(8)]
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(site.post, urls))
    for url, response in zip(urls, responses, strict=True):
        found = contexts(response.text)
        assert [context["url"] for context in found] == [url, url], (url, found)


def step_context_by_hand(site):
    (context,) = contexts(site.post("/named/").text)
    assert context["why"] == "sale"


def step_no_context_is_left(site):
    """A request of a method without one does not get that of another."""
    site.post("/plain/")
    before = Context.objects.count()
    found = contexts(site.options("/plain/").text)
    assert found == [None, None], found
    assert Context.objects.count() == before


def step_protected_rows(site):
    site.ok("/refused/", "refused")
    site.ok("/ignored/", "0")
    site.ok("/refused/", "refused")
