# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-call, no-untyped-def"

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

from .models import Album


async def text(request):
    return HttpResponse("Hello, World!", content_type="text/plain")


async def json(request):
    return JsonResponse({"message": "Hello, World!"})


def as_dict(album):
    return {"id": album.id, "title": album.title, "year": album.year}


def with_artist(album):
    return {
        "id": album.id,
        "title": album.title,
        "year": album.year,
        "artist": album.artist.name,
    }


async def one(request, pk):
    return JsonResponse(as_dict(await Album.objects.aget(pk=pk)))


async def twenty(request, pk):
    albums = [await Album.objects.aget(pk=key) for key in range(pk, pk + 20)]
    return JsonResponse([as_dict(album) for album in albums], safe=False)


async def joined(request):
    queryset = Album.objects.select_related("artist").order_by("id")[:100]
    return JsonResponse([with_artist(album) async for album in queryset], safe=False)


async def page(request):
    queryset = Album.objects.select_related("artist").order_by("id")[:100]
    albums = [album async for album in queryset]
    return render(request, "albums.html", {"albums": albums})


urlpatterns = [
    path("text", text),
    path("json", json),
    path("one/<int:pk>", one),
    path("twenty/<int:pk>", twenty),
    path("list", joined),
    path("page", page),
]
