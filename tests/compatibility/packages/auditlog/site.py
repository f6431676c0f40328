from auditlog.models import LogEntry
from django.http import HttpResponse
from django.urls import path

from tests.compatibility.shop.models import Album, stock_the_shop


def plain(request, pk):
    album = Album.objects.get(pk=pk)
    album.title += "!"
    album.save()
    return HttpResponse(album.title)


async def asynchronous(request, pk):
    album = await Album.objects.aget(pk=pk)
    album.title += "!"
    await album.asave()
    return HttpResponse(album.title)


urlpatterns = [path("plain/<int:pk>/", plain), path("async/<int:pk>/", asynchronous)]


def changes(site, url):
    user = site.login()
    album = stock_the_shop().albums.first()
    LogEntry.objects.all().delete()
    site.ok(f"{url}{album.pk}/")
    entry = LogEntry.objects.get()
    assert entry.changes["title"] == ["Pastel Blues", "Pastel Blues!"]
    return entry, user


def step_plain_view(site):
    entry, user = changes(site, "/plain/")
    assert entry.actor == user
    assert entry.remote_addr == "127.0.0.1"


def step_async_view(site):
    entry, user = changes(site, "/async/")
    assert entry.actor == user


def step_anonymous(site):
    site.logout()
    album = Album.objects.first()
    LogEntry.objects.all().delete()
    site.ok(f"/plain/{album.pk}/")
    assert LogEntry.objects.get().actor is None
