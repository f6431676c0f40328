"""
The pages of the shop, in the ways that a view can reach the database:

    album_list      async, with queries that the template runs
    album_detail    async, with a form that validates and saves in the database
    album_cover     a plain function: sync-looking code that waits on the event loop
    WishList        Django's generic view, which runs as a plain function does
    wish            async, for those who are logged in
    live_reviews    async, a stream of events that does not end
    album_json      async, awaiting each relation that it needs
"""

from collections.abc import AsyncIterator
from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from vinyl.orm.live import watch
from vinyl.web import (
    EventSourceResponse,
    HTMLResponse,
    JSONResponse,
    Request,
    Response,
    get_object_or_404,
    messages,
    redirect,
    render,
)
from vinyl.web.auth import login_required, permission_required
from vinyl.web.decorators import require_POST
from vinyl.web.pagination import Paginator
from vinyl.web.views import ListView, TemplateView

from .forms import CoverForm, ReviewForm, SearchForm
from .models import Album, Artist, Review, Wish

ALBUMS_PER_PAGE = 24
# The most reviews that are shown at once, if many are written together.
LIVE_REVIEWS = 20


async def album_list(request: Request) -> HTMLResponse:
    # One query for albums and artists together, for any number of albums.
    albums = Album.objects.select_related("artist")
    search = SearchForm(request.GET)
    # Validating the form looks up the genre.
    if await search.is_valid():
        if q := search.cleaned_data["q"]:
            albums = albums.filter(Q(title__icontains=q) | Q(artist__name__icontains=q))
        if genre := search.cleaned_data["genre"]:
            albums = albums.filter(genres=genre)
    paginator = Paginator(albums, ALBUMS_PER_PAGE)
    page = await paginator.get_page(request.GET.get("page"))
    return await render(
        request, "records/album_list.html", {"page": page, "search": search}
    )


async def album_detail(request: Request, slug: str) -> Response:
    # The template uses artist, label, genres, tracks and reviews. It is rendered inside
    # the bridge, so each of them is fetched when the template first uses it.
    user = await request.user
    albums = Album.objects.annotate(
        is_wished=Exists(Wish.objects.filter(album=OuterRef("pk"), user=user.pk))
    )
    album = await get_object_or_404(albums, slug=slug)
    form = ReviewForm()
    status = 200
    if request.method == "POST":
        await request.form()
        form = ReviewForm(request.POST, instance=Review(album=album))
        if await form.is_valid():
            await form.save()
            messages.success(request, "Thank you for your review.")
            return redirect(f"{album.get_absolute_url()}#reviews")
        status = 422
    context = {"album": album, "form": form}
    return await render(request, "records/album_detail.html", context, status=status)


@permission_required("records.change_album", raise_exception=True)
def album_cover(request: Request, slug: str) -> Response:
    album = get_object_or_404(Album, slug=slug)
    form = CoverForm(request.POST or None, request.FILES or None, instance=album)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "The sleeve has been changed.")
        return redirect(album)
    context = {"album": album, "form": form}
    return render(request, "records/album_cover.html", context)


def artist_detail(request: Request, slug: str) -> HTMLResponse:
    artist = get_object_or_404(Artist, slug=slug)
    albums = artist.albums.select_related("label").annotate(
        track_count=Count("tracks"), seconds=Sum("tracks__seconds")
    )
    return render(
        request, "records/artist_detail.html", {"artist": artist, "albums": albums}
    )


class WishList(LoginRequiredMixin, ListView[Wish]):
    template_name = "records/wish_list.html"
    context_object_name = "wishes"

    def get_queryset(self) -> QuerySet[Wish]:
        user = self.request.user
        assert isinstance(user, User)
        return Wish.objects.filter(user=user).select_related("album__artist")


@login_required
@require_POST
async def wish(request: Request, slug: str) -> Response:
    user = await request.user
    assert isinstance(user, User)
    album = await get_object_or_404(Album, slug=slug)
    _, is_new = await Wish.objects.get_or_create(user=user, album=album)
    if is_new:
        messages.success(request, f"{album} is on your wish list.")
    else:
        messages.info(request, f"{album} was on your wish list already.")
    return redirect(album)


@login_required
@require_POST
async def unwish(request: Request, slug: str) -> Response:
    user = await request.user
    assert isinstance(user, User)
    album = await get_object_or_404(Album, slug=slug)
    await Wish.objects.filter(user=user, album=album).delete()
    messages.success(request, f"{album} is off your wish list.")
    return redirect("records:wishes")


class Live(TemplateView):
    template_name = "records/live.html"


async def live_reviews(request: Request) -> EventSourceResponse:
    return EventSourceResponse(new_reviews())


async def new_reviews() -> AsyncIterator[dict[str, Any]]:
    """Each review that is written from now on, as an event for the page."""
    latest = Review.objects.select_related("album").order_by("-pk")[:LIVE_REVIEWS]
    newest = None
    # Waits without a query or a connection of the pool, until a process commits a
    # review. See records/migrations/0003_watch_review.py.
    async for reviews in watch(latest, models=[Review]):
        if newest is None:
            newest = reviews[0].pk if reviews else 0
            yield {"event": "listening"}
        for review in reversed(reviews):
            if review.pk > newest:
                newest = review.pk
                yield {
                    "event": "review",
                    "id": str(review.pk),
                    "data": {
                        "album": review.album.title,
                        "address": review.album.get_absolute_url(),
                        "author": review.author,
                        "rating": review.rating,
                        "text": review.text,
                    },
                }


async def album_json(request: Request, pk: int) -> JSONResponse:
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
