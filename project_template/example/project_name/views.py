"""What the site answers, beside its apps."""

import asyncio

from django.db.models import Count
from vinyl.web import render

from records.models import Album, Genre, Review


async def home(request):
    # Three queries side by side, on three connections of the pool.
    albums, genres, reviews = await asyncio.gather(
        Album.objects.select_related("artist")[:6],
        Genre.objects.annotate(album_count=Count("albums")),
        Review.objects.select_related("album__artist")[:3],
    )
    context = {"albums": albums, "genres": genres, "reviews": reviews}
    return await render(request, "home.html", context)
