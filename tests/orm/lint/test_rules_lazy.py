"""Lazy attributes that are used before they are awaited are found in source code."""

# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from django.test.utils import isolate_apps

from tests.orm.scenarios.reading import assert_found, found, function
from tests.records.models import Album
from vinyl.orm import models
from vinyl.orm.lint.rules import find

GET = "album = await Album.objects.get(pk=pk)\n"
HERE = "from tests.orm.lint.test_rules_lazy import Reissue\n"


class Bringing(models.Manager):
    def get_queryset(self) -> Any:
        return super().get_queryset().select_related("album")


with isolate_apps("tests.records"):

    class Reissue(models.Model):
        """A model whose manager brings a relation along."""

        album = models.ForeignKey(Album, models.CASCADE, related_name="+")

        objects = Bringing()

        class Meta:
            app_label = "records"


# What no object can refuse: the code that is to be found, and its source.
TESTED = {
    "is None": ("album.label", f"{GET}if album.label is None:  # here\n    return"),
    "is not None": ("album.label", f"{GET}return album.label is not None  # here"),
    "is, on the right": ("album.label", f"{GET}return None is album.label  # here"),
    "is another": ("album.artist", f"{GET}return album.artist is pk  # here"),
    "isinstance": (
        "album.artist",
        f"{GET}return isinstance(album.artist, Artist)  # here",
    ),
    "type": ("album.artist", f"{GET}return type(album.artist) == Artist  # here"),
    "hasattr": (
        "artist.biography",
        """
        artist = await Artist.objects.first()
        if hasattr(artist, "biography"):  # here
            return
        """,
    ),
    "getattr with a default": (
        "getattr(artist, 'biography', None)",
        """
        artist = await Artist.objects.first()
        return getattr(artist, "biography", None) is None  # here
        """,
    ),
    "match": (
        "album.label",
        f"""
        {GET}
        match album.label:  # here
            case None:
                return
        """,
    ),
    "match of several": (
        "album.label",
        f"""
        {GET}
        match pk, album.label:  # here
            case 1, None:
                return
        """,
    ),
    "try": (
        "artist.biography",
        """
        artist = await Artist.objects.first()
        try:
            artist.biography  # here
        except Biography.DoesNotExist:
            return
        """,
    ),
    "in an and": (
        "album.label",
        f"{GET}return pk and album.label is None  # here",
    ),
    "in a comprehension": (
        "each.label",
        """
        albums = await Album.objects.filter(year=1965)
        return [each for each in albums if each.label is None]  # here
        """,
    ),
    "under another name": (
        "label",
        f"{GET}label = album.label\nif label is None:  # here\n    return",
    ),
    "of each of a loop": (
        "each.label",
        """
        async for each in Album.objects.order_by("year")[:10]:
            if each.label is None:  # here
                return
        """,
    ),
    "of each of a stream": (
        "each.label",
        """
        async for each in Album.objects.iterator():
            if each.label is None:  # here
                return
        """,
    ),
    "of one of a list": (
        "albums[0].label",
        "albums = await Album.objects.all()\nreturn albums[0].label is None  # here",
    ),
    "of the awaited": (
        "(await Album.objects.get()).label",
        "return (await Album.objects.get()).label is None  # here",
    ),
    "of a shortcut": (
        "album.label",
        """
        album = await get_object_or_404(Album, pk=pk)
        return album.label is None  # here
        """,
    ),
    "of a shortcut with a queryset": (
        "album.label",
        """
        album = await get_object_or_404(Album.objects.select_related("artist"), pk=pk)
        return album.label is None  # here
        """,
    ),
    "of a relation": (
        "artist.biography",
        f"{GET}artist = await album.artist\nreturn artist.biography is None  # here",
    ),
    "of what a relation came with": (
        "album.artist.biography",
        """
        album = await Album.objects.select_related("artist").get()
        return album.artist.biography is None  # here
        """,
    ),
    "of a related manager": (
        "each.artist",
        """
        genre = await models.Genre.objects.get()
        async for each in genre.albums.all():
            if each.artist is None:  # here
                return
        """,
    ),
    "beside what the query brings": (
        "album.label",
        """
        album = await Album.objects.select_related("artist").get(pk=pk)
        return album.artist.name, album.label is None  # here
        """,
    ),
    "of one that was created without it": (
        "album.label",
        """
        album = await Album.objects.create(title="x", artist=pk)
        return album.label is None  # here
        """,
    ),
    "of a new one without it": (
        "album.label",
        "album = Album(title='x', artist=pk)\nreturn album.label is None  # here",
    ),
    "a deferred field": (
        "album.notes",
        """
        album = await Album.objects.defer("notes").get()
        return album.notes is None  # here
        """,
    ),
    "a field that is not among a few": (
        "album.notes",
        """
        album = await Album.objects.only("title", "artist").get()
        return album.title is None or album.notes is None  # here
        """,
    ),
    "a generic relation": (
        "tag.target",
        "tag = await Tag.objects.get()\nreturn tag.target is None  # here",
    ),
    "of an argument": (
        "it.label",
        "async def view(it: Album):\n    return it.label is None  # here",
    ),
    "of an argument that may be None": (
        "it.label",
        "async def view(it: Album | None):\n    return it.label is None  # here",
    ),
    "of self": (
        "self.label",
        """
        class Album(models.Model):
            async def is_free(self):
                return self.label is None  # here
        """,
    ),
    "before it is awaited": (
        "album.label",
        f"""
        {GET}
        if album.label is None:  # here
            return
        label = await album.label
        """,
    ),
}

# What raises as soon as it runs.
USED = {
    "attribute": ("album.artist", f"{GET}return album.artist.name  # here"),
    "truth": ("album.label", f"{GET}if album.label:  # here\n    return"),
    "not": ("album.label", f"{GET}return not album.label  # here"),
    "or": ("album.label", f"{GET}return album.label or None  # here"),
    "equals": ("album.artist", f"{GET}return album.artist == pk  # here"),
    "in": ("album.artist", f"{GET}return album.artist in pk  # here"),
    "an f-string": ("album.artist", f"{GET}return f'by {{album.artist}}'  # here"),
    "str": ("album.artist", f"{GET}return str(album.artist)  # here"),
    "format": ("album.artist", f"{GET}return 'by {{}}'.format(album.artist)  # here"),
    "percent": ("album.artist", f"{GET}return 'by %s' % album.artist  # here"),
    "percent of several": (
        "album.artist",
        f"{GET}return '%s by %s' % (album.title, album.artist)  # here",
    ),
    "a key": ("album.artist", f"{GET}return {{album.artist: 1}}  # here"),
    "an index": ("album.artist", f"{GET}pk[album.artist] = 1  # here"),
    "a set": ("album.artist", f"{GET}return {{album.artist}}  # here"),
    "filter": (
        "album.artist",
        f"{GET}return await Album.objects.filter(artist=album.artist)  # here",
    ),
    "create": (
        "album.artist",
        f"{GET}await Album.objects.create(title='x', artist=album.artist)  # here",
    ),
    "JSON": (
        "album.artist",
        f"{GET}return web.JSONResponse({{'by': [album.artist]}})  # here",
    ),
    "getattr of it": (
        "album.artist",
        f"{GET}return getattr(album.artist, 'name', '')  # here",
    ),
    "a deferred field": (
        "album.notes",
        """
        album = await Album.objects.defer("notes").get()
        return album.notes.upper()  # here
        """,
    ),
    "in each of a loop": (
        "each.artist",
        """
        for each in await Album.objects.all():
            print(each.artist.name)  # here
        """,
    ),
}

FINE = {
    "awaited": f"""
        {GET}
        if await album.label is None or (await album.artist).name == "x":
            return isinstance(await album.artist, Artist)
        """,
    "awaited before": f"""
        {GET}
        label = await album.label
        return album.label is None or label.name == album.label.name
        """,
    "awaited in a branch before": f"""
        {GET}
        if pk:
            await album.label
        return album.label is None
        """,
    "fetched before": f"""
        {GET}
        artist, label = await fetch(album, "artist", "label")
        return album.label is None, album.artist.name
        """,
    "fetched for all": """
        albums = await Album.objects.all()
        await fetch(albums, "artist")
        return [each.artist.name for each in albums if each.artist is not None]
        """,
    "fetched one by one": """
        albums = await Album.objects.all()
        for each in albums:
            await fetch(each, "label")
        return [one.label for one in albums if one.label is None]
        """,
    "loaded one by one, by another function": """
        albums = await Album.objects.all()
        for each in albums:
            await load(each)
        return [one for one in albums if one.label is None]
        """,
    "prefetched": """
        albums = await Album.objects.all()
        await prefetch_related_objects(list(albums), "artist")
        return [one.artist.name for one in albums]
        """,
    "gathered": f"""
        {GET}
        await asyncio.gather(album.artist, album.label)
        return album.label is None, album.artist.name
        """,
    "given to another function": f"""
        {GET}
        await load(album)
        return album.label is None, album.artist.name
        """,
    "given to the bridge": f"""
        {GET}
        def read():
            return album.artist.name if album.label is None else None
        await run(read)
        return album.artist.name
        """,
    "brought by the query": """
        album = await Album.objects.select_related("artist__biography", "label").get()
        if album.label is None:
            return album.artist.name, album.artist.biography.text
        """,
    "brought by a variable": """
        albums = Album.objects.filter(year=1965)
        albums = albums.select_related("label")
        album = await albums.get()
        return album.label is None
        """,
    "prefetched by the query": """
        albums = await Album.objects.prefetch_related("label", "artist")
        return [each.artist.name for each in albums if each.label is None]
        """,
    "brought, but nobody knows what": """
        one = await Album.objects.select_related().get()
        two = await Album.objects.select_related(*pk).get()
        three = await Album.objects.from_the_sixties().first()
        four = (await Album.objects.raw("SELECT 1"))[0]
        return one.label is None, two.label is None, three.label is None, four.label
        """,
    "either with it or without": """
        if pk:
            album = await Album.objects.select_related("label").get(pk=pk)
        else:
            album = await Album.objects.first()
        return album.label is None
        """,
    "known from the other side": """
        artist = await Artist.objects.get()
        for each in await artist.albums.all():
            print(each.artist.name, each.artist is artist)
        biography = await artist.biography
        return biography.artist is artist, biography.artist.name
        """,
    "assigned": f"""
        {GET}
        album.label = None
        return album.label is None
        """,
    "created with it": """
        album = await Album.objects.create(title="x", label=None, artist=pk)
        other = Album(label=pk)
        third = Album(**pk)
        fourth, created = await Album.objects.get_or_create(label=pk)
        return album.label is None, other.label is None, third.label, fourth.label is 1
        """,
    "rows of another kind": """
        async for each in Album.objects.values_list("label", named=True):
            if each.label is None:
                return
        """,
    "the key": f"{GET}return album.label_id is None or album.artist_id == pk",
    "a field that is there": """
        album = await Album.objects.only("notes").get()
        other = await Album.objects.defer("title").get()
        return album.notes is None or album.notes.upper() or other.notes is None
        """,
    "a relation to many": f"""
        {GET}
        return album.tracks is None, hasattr(album, "genres"), album.tracks.all()
        """,
    "an argument that may have been fetched": """
        async def view(it: Album):
            print(it.artist.name, f"{it.label}")
            return Artist.objects.filter(pk=it.artist)
        """,
    "an argument that is only named after a model": """
        async def view(album, track):
            return album.label is None, album.artist.name, hasattr(track, "album")
        """,
    "handed on": f"""
        {GET}
        artist = album.artist
        register(album.label, key=album.label)
        return [album.artist, await artist]
        """,
    "shown": f"{GET}print(f'{{album.artist!r}}', repr(album.artist))",
    "alone": f"{GET}album.artist",
    "def": """
        def view(album: Album):
            return album.label is None, album.artist.name
        """,
    "a manager of the project's own": f"""
        {HERE}
        reissue = await Reissue.objects.first()
        return reissue.album.title, reissue.album is None
        """,
    "another's attributes": f"""
        {GET}
        return album.title is None, shelf.label is None, album.label_of_shelf is None
        """,
}


@pytest.mark.parametrize(
    ("kind", "code", "source"),
    [
        pytest.param(kind, code, source, id=f"{kind}: {name}")
        for kind, cases in [("tested", TESTED), ("lazy", USED)]
        for name, (code, source) in cases.items()
    ],
)
def test_is_found(kind: str, code: str, source: str) -> None:
    assert_found(kind, code, _flat(source), "pk")


@pytest.mark.parametrize("source", FINE.values(), ids=FINE.keys())
def test_is_not_found(source: str) -> None:
    assert found(function(_flat(source), "pk")) == []


def _flat(source: str) -> str:
    """*source* with what it begins with on the same level as the rest."""
    for start in (GET, HERE):
        source = source.replace(f"        {start}", f"        {start.strip()}")
    return textwrap.dedent(source)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (
            f"{GET}album.label is None",
            "`await {}`, or test `album.label_id`, which needs no query",
        ),
        (f"{GET}isinstance(album.label, int)", "`await {}`"),
        (f"{GET}label = album.label\nlabel is None", "`await {}`"),
        (
            "async def view(it: Album):\n    it.label is None",
            "`await fetch(it, 'label')`, or test `it.label_id`, which needs no query",
        ),
        (
            "async def view(it: Artist):\n    hasattr(it, 'biography')",
            "`await fetch(it, 'biography')`",
        ),
        (f"{GET}album.artist.name", "`(await {}).name`"),
        (f"{GET}print(album.artist)", "`await {}`"),
    ],
)
def test_the_remedy(source: str, remedy: str) -> None:
    (one,) = find(function(source, "pk"), "tests.records.views", "tests.records")
    assert one.remedy == remedy
