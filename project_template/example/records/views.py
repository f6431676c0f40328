"""
The pages of the shop, in the four ways that a view can reach the database:

    album_list      async, with queries that the template runs
    album_detail    async, with a form that validates and saves in the database
    artist_detail   a plain function: sync-looking code that waits on the event loop
    album_json      async, awaiting each relation that it needs
"""

from django.core.paginator import Paginator
from django.db.models import Count, Q, Sum
from django.utils.datastructures import MultiValueDict
from vinyl.orm import run
from vinyl.web import JSONResponse, get_object_or_404, redirect, render

from .forms import ReviewForm, SearchForm
from .models import Album, Artist, Review

ALBUMS_PER_PAGE = 24


async def album_list(request):
    # One query for albums and artists together, whatever the length of the page.
    albums = Album.objects.select_related("artist")
    search = SearchForm(request.query_params)
    # run(): the form looks the genre up, and the paginator counts.
    if await run(search.is_valid):
        if q := search.cleaned_data["q"]:
            albums = albums.filter(Q(title__icontains=q) | Q(artist__name__icontains=q))
        if genre := search.cleaned_data["genre"]:
            albums = albums.filter(genres=genre)
    paginator = Paginator(albums, ALBUMS_PER_PAGE)
    page = await run(paginator.get_page, request.query_params.get("page"))
    return await render(
        request, "records/album_list.html", {"page": page, "search": search}
    )


async def album_detail(request, slug):
    # The template asks for artist, label, genres, tracks and reviews: it is rendered
    # inside the bridge, so each is fetched where the page first mentions it.
    album = await get_object_or_404(Album, slug=slug)
    form = ReviewForm()
    status = 200
    if request.method == "POST":
        data = await request.form()
        form = ReviewForm(
            MultiValueDict({name: data.getlist(name) for name in data}),
            instance=Review(album=album),
        )
        if await run(form.is_valid):
            await run(form.save)
            return redirect(f"{album.get_absolute_url()}#reviews")
        status = 422
    context = {"album": album, "form": form}
    return await render(request, "records/album_detail.html", context, status=status)


def artist_detail(request, slug):
    artist = get_object_or_404(Artist, slug=slug)
    albums = artist.albums.select_related("label").annotate(
        track_count=Count("tracks"), seconds=Sum("tracks__seconds")
    )
    return render(
        request, "records/artist_detail.html", {"artist": artist, "albums": albums}
    )


async def album_json(request, pk):
    album = await get_object_or_404(Album, pk=pk)
    artist = await album.artist
    label = await album.label
    tracks = await album.tracks.all()
    return JSONResponse(
        {
            "title": album.title,
            "year": album.year,
            "artist": artist.name,
            "label": label.name if label else None,
            "tracks": [{"title": t.title, "length": t.length} for t in tracks],
        }
    )
