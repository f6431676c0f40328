# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-def"

from django.db import transaction
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render

from vinyl.orm import run

from .models import Album, Artist


async def album(request, pk):
    album = await get_object_or_404(Album, pk=pk)
    artist = await album.artist
    others = [other.title async for other in artist.albums.exclude(pk=pk)]
    return JsonResponse({"title": album.title, "artist": artist.name, "others": others})


async def release(request):
    async with transaction.atomic():
        artist = await Artist.objects.create(name=request.POST["artist"])
        album = await artist.albums.create(title=request.POST["title"])
    return JsonResponse({"album": album.pk}, status=201)


async def albums(request):
    context = {"albums": Album.objects.all()}
    return await run(render, request, "records/albums.html", context)
