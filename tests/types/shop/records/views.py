"""Views of the project, and what the calls in them give."""

from collections.abc import Generator
from typing import Any, assert_type

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from starlette.datastructures import FormData

from vinyl.orm import Dual, await_, fetch, run, transaction, use_driver
from vinyl.web import (
    HTMLResponse,
    JSONResponse,
    Request,
    Response,
    forms,
    get_list_or_404,
    get_object_or_404,
    path,
    redirect,
    render,
)
from vinyl.web.auth import authenticate, login, login_required
from vinyl.web.decorators import require_POST
from vinyl.web.pagination import Page, Paginator

from .models import Album, Artist


class AlbumForm(forms.ModelForm[Album]):
    class Meta:
        model = Album
        fields = ["title", "year"]


class SearchForm(forms.Form):
    q = forms.CharField(required=False)


@login_required
@require_POST
async def rename(request: Request, pk: int) -> Response:
    album = await get_object_or_404(Album, pk=pk)
    assert_type(album, Album)
    assert_type(await get_object_or_404(Album.objects.recent(), pk=pk), Album)
    assert_type(await get_list_or_404(Artist, name="x"), list[Artist])
    assert_type(await request.form(), FormData)
    async with request.form() as data:
        assert_type(data, FormData)
    form = AlbumForm(request.POST, instance=album)
    if await form.is_valid():
        await form.save()
        return redirect("album", pk=pk)
    return await render(request, "rename.html", {"form": form}, status=422)


async def body(request: Request) -> Response:
    assert_type(await request.body(), bytes)
    data: dict[str, Any] = await request.json()
    session: SessionBase = await request.session
    assert_type(await (await request.session).exists("key"), bool)
    assert session
    user = await request.user
    if isinstance(user, User):
        assert_type(user.username, str)
    elif isinstance(user, AnonymousUser):
        await login(request, await authenticate(request, username="nina"))
    return JSONResponse(data)


def plain(request: Request, pk: int) -> HTMLResponse:
    """Sync-looking code in the bridge."""
    album: Album = get_object_or_404(Album, pk=pk)
    search = SearchForm(request.GET)
    if search.is_valid() and search.cleaned_data["q"]:
        album.artist.save()
    return render(request, "album.html", {"album": album})


async def pages(request: Request) -> HTMLResponse:
    paginator = Paginator(Album.objects.all(), 10)
    page = await paginator.get_page(request.GET.get("page"))
    assert_type(page, Page[Album])
    return await render(request, "albums.html", {"page": page})


@transaction.atomic
async def move(album: Album, artist: Artist) -> Album:
    album.artist = artist
    await album.save()
    return album


@use_driver
def rename_all(albums: list[Album], title: str) -> Generator[Any, Any, int]:
    for album in albums:
        album.title = title
        yield album.save, ()
    return len(albums)


@use_driver
def count_in_bridge(title: str) -> int:
    return len(Album.objects.filter(title=title))


def total(artist: Artist) -> int:
    return sum(album.year for album in artist.albums.all())


def count(artist: Artist) -> Dual[int]:
    return artist.albums.count()


async def calls(album: Album, artist: Artist, request: Request) -> None:
    assert_type(await rename(request, pk=1), Response)
    assert_type(await move(album, artist), Album)
    assert_type(await rename_all([album], "x"), int)
    assert_type(await count_in_bridge("x"), int)
    assert_type(await run(total, artist), int)
    number: int = await run(count, artist)
    assert number
    assert_type(await count(artist), int)
    assert_type(await fetch(album, "artist"), Any)
    async with transaction.atomic():
        await fetch([album], "artist", "label")


def in_bridge(album: Album, artist: Artist) -> None:
    assert_type(await_(move(album, artist)), Album)


urlpatterns = [
    path("rename/<int:pk>/", rename),
    path("body/", body),
    path("plain/<int:pk>/", plain),
    path("pages/", pages),
]
