# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"
# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-call, no-untyped-def"

from vinyl.web import JSONResponse, PlainTextResponse, path, render

from .models import Album


async def text(request):
    return PlainTextResponse("Hello, World!")


async def json(request):
    return JSONResponse({"message": "Hello, World!"})


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
    return JSONResponse(as_dict(await Album.objects.get(pk=pk)))


async def twenty(request, pk):
    albums = [await Album.objects.get(pk=key) for key in range(pk, pk + 20)]
    return JSONResponse([as_dict(album) for album in albums])


async def joined(request):
    albums = await Album.objects.select_related("artist").order_by("id")[:100]
    return JSONResponse([with_artist(album) for album in albums])


async def page(request):
    albums = await Album.objects.select_related("artist").order_by("id")[:100]
    return await render(request, "albums.html", {"albums": albums})


urlpatterns = [
    path("text", text),
    path("json", json),
    path("one/<int:pk>", one),
    path("twenty/<int:pk>", twenty),
    path("list", joined),
    path("page", page),
]
