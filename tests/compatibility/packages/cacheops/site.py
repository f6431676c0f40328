import asyncio
import time

import httpx
from cacheops import cached_as, no_invalidation
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponse
from django.urls import path

from tests.compatibility.shop.models import Album, Artist, stock_the_shop

calls = []
added_meanwhile = []


@cached_as(Album)
def computed():
    calls.append(1)
    return len(calls)


def plain(request):
    titles = ",".join(album.title for album in Album.objects.filter(year__gte=1966))
    return HttpResponse(f"{titles} {Album.objects.count()} {computed()}")


async def asynchronous(request):
    titles = [album.title async for album in Album.objects.filter(year__gte=1966)]
    return HttpResponse(f"{','.join(titles)} {await Album.objects.acount()}")


def add(request):
    album = Album.objects.first()
    album.artist.albums.create(title="New", year=1970)
    return HttpResponse("added")


async def async_add(request):
    album = await Album.objects.afirst()
    await Album.objects.acreate(title="Newer", year=1970, artist_id=album.artist_id)
    return HttpResponse("added")


def keep_cached(request):
    """Turns invalidation off for itself, while others answer."""
    until = time.monotonic() + 10
    with no_invalidation:
        while not added_meanwhile:
            # Not cached.
            ContentType.objects.count()
            assert time.monotonic() < until
    return HttpResponse("kept")


async def async_add_meanwhile(request):
    artist = await Artist.objects.afirst()
    await asyncio.sleep(0.2)
    await Album.objects.acreate(title="Meanwhile", year=1970, artist=artist)
    added_meanwhile.append(True)
    return HttpResponse("added")


urlpatterns = [
    path("keep-cached/", keep_cached),
    path("async-add-meanwhile/", async_add_meanwhile),
    path("plain/", plain),
    path("async/", asynchronous),
    path("add/", add),
    path("async-add/", async_add),
]


def step_plain_view(site):
    stock_the_shop()
    for _ in range(4):
        assert site.ok("/plain/").text == "Wild,Silk 3 1"


def step_async_view(site):
    for _ in range(4):
        assert site.ok("/async/").text == "Wild,Silk 3"


def step_writes_of_a_plain_view(site):
    site.ok("/add/")
    assert site.ok("/plain/").text == "Wild,Silk,New 4 2"
    assert site.ok("/async/").text == "Wild,Silk,New 4"


def step_writes_of_an_async_view(site):
    for number in range(1, 5):
        site.ok("/async-add/")
        found = "Wild,Silk,New" + ",Newer" * number
        assert site.ok("/plain/").text.startswith(f"{found} {4 + number} ")
        assert site.ok("/async/").text == f"{found} {4 + number}"


def step_blocks_of_requests_at_a_time(site):
    stock_the_shop()
    assert site.ok("/async/").text == "Wild,Silk 3"
    urls = ["/keep-cached/", "/async-add-meanwhile/"]
    assert asyncio.run(ask_all(site, urls)) == ["kept", "added"]
    assert site.ok("/async/").text == "Wild,Silk,Meanwhile 4"


async def ask_all(site, urls):
    async with httpx.AsyncClient(base_url=site.origin, timeout=20) as client:
        responses = await asyncio.gather(*map(client.get, urls))
    return [response.text for response in responses]
