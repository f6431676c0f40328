"""What the checkers refuse: each `type: ignore` here hides an error of both."""

from vinyl.orm import transaction
from vinyl.web import Request, forms, get_object_or_404

from .models import Album, Artist, Label


class SearchForm(forms.Form):
    q = forms.CharField()


async def misuse(album: Album, label: Label, request: Request) -> None:
    name: str = await Artist.objects.count()  # type: ignore[assignment]
    first: Artist = await Artist.objects.first()  # type: ignore[assignment]
    artists: list[Album] = await Artist.objects.all()  # type: ignore[assignment]
    album.artist = label  # type: ignore[assignment]
    album.artist = None  # type: ignore[assignment]
    album.title = ["x"]  # type: ignore[assignment]
    found: Label = await album.label  # type: ignore[assignment]
    found = await album.artist  # type: ignore[assignment]
    await album.title  # type: ignore[misc]
    await album.genres.add(label)  # type: ignore[arg-type]
    await album.artist.albums.filter(year=1965).cout()  # type: ignore[attr-defined]
    assert (await album.artist).nmae  # type: ignore[attr-defined]
    pages: Album = await get_object_or_404(Artist, pk=1)  # type: ignore[arg-type]
    is_valid: str = await SearchForm(request.GET).is_valid()  # type: ignore[assignment]
    body: str = await request.body()  # type: ignore[assignment]
    async with transaction.atomic(usign="default"):  # type: ignore[call-overload]
        assert name, (first, artists, found, pages, is_valid, body)
    for artist in await Artist.objects.get(pk=1):  # type: ignore[attr-defined]
        assert artist
