"""Views of the other kinds, and the mistakes that one makes in them."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, union-attr"
# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-call, no-untyped-def"

import asyncio

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import aget_object_or_404, get_object_or_404

from . import views
from .models import Album, Artist


async def album_by_a_names(request, pk):
    album = await aget_object_or_404(Album.objects.select_related("artist"), pk=pk)
    others = album.artist.albums.exclude(pk=pk)
    titles = [other.title async for other in others.aiterator()]
    assert await others.acount() == len(titles)
    return JsonResponse(
        {"title": album.title, "artist": album.artist.name, "others": titles}
    )


def album_in_a_thread(request, pk):
    album = get_object_or_404(Album, pk=pk)
    others = [other.title for other in album.artist.albums.exclude(pk=pk)]
    return JsonResponse(
        {"title": album.title, "artist": album.artist.name, "others": others}
    )


@transaction.non_atomic_requests
async def non_atomic_album(request, pk):
    return await views.album(request, pk)


async def loop_threads(request, pk):
    """The threads in which rows became objects: with every spelling, the loop's."""
    plain = await Album.objects.get(pk=pk)
    twin = await Album.objects.aget(pk=pk)
    [listed] = await Album.objects.filter(pk=pk)
    streamed = [each async for each in Album.objects.filter(pk=pk).aiterator()]
    seen = {each.loaded_in for each in [plain, twin, listed, *streamed]}
    return JsonResponse(list(seen), safe=False)


def own_thread(request, pk):
    return JsonResponse([Album.objects.get(pk=pk).loaded_in], safe=False)


async def failing_release(request):
    async with transaction.atomic():
        artist = await Artist.objects.create(name=request.POST["artist"])
        await artist.albums.create(title=None)


async def endless_release(request):
    async with transaction.atomic():
        await Artist.objects.create(name=request.POST["artist"])
        await asyncio.Event().wait()


async def unawaited_call(request):
    return HttpResponse("many" if Album.objects.count() > 100 else "few")


async def unawaited_queryset(request):
    return HttpResponse([album.title for album in Album.objects.all()])


async def unawaited_relation(request):
    album = await Album.objects.afirst()
    return HttpResponse(album.artist)


async def unawaited_save(request):
    album = await Album.objects.afirst()
    album.save()
    return HttpResponse("as if it were saved")


@login_required
async def visits(request):
    user = await request.auser()
    count = await request.session.aget("visits", 0) + 1
    await request.session.aset("visits", count)
    return JsonResponse({"user": user.get_username(), "visits": count})
