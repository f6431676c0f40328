from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import path

from tests.compatibility.shop.models import Album, stock_the_shop


def plain(request):
    with CaptureQueriesContext(connection) as queries:
        titles = ",".join(album.title for album in Album.objects.filter(year__gte=1966))
    sql = [query["sql"] for query in queries]
    return HttpResponse(f"{titles} {sql}")


async def asynchronous(request):
    titles = [album.title async for album in Album.objects.filter(year__gte=1966)]
    return HttpResponse(",".join(titles))


def add(request):
    album = Album.objects.first()
    album.artist.albums.create(title="New", year=1970)
    Album.objects.filter(title="Silk").update(title="Velvet")
    Album.objects.filter(title="Wild").delete()
    return HttpResponse("added")


async def async_add(request):
    album = await Album.objects.afirst()
    await Album.objects.acreate(title="Newer", year=1970, artist_id=album.artist_id)
    return HttpResponse("added")


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("add/", add),
    path("async-add/", async_add),
]


def step_hits(site):
    stock_the_shop()
    site.ok("/plain/")
    for _ in range(4):
        found = site.ok("/plain/").text
        assert found == "Wild,Silk []", found
        assert site.ok("/async/").text == "Wild,Silk"


def step_writes_of_a_plain_view(site):
    site.ok("/add/")
    assert site.ok("/plain/").text.startswith("Velvet,New ")
    assert site.ok("/async/").text == "Velvet,New"


def step_writes_of_an_async_view(site):
    for number in range(1, 5):
        site.ok("/async-add/")
        found = "Velvet,New" + ",Newer" * number
        assert site.ok("/plain/").text.startswith(f"{found} ")
        assert site.ok("/async/").text == found
