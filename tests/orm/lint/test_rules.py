"""Forgotten awaits are found in source code."""

from __future__ import annotations

import pytest

from tests.orm.scenarios.reading import assert_found
from vinyl.bridge import mode
from vinyl.orm.dualmode import table

# The code that is to be found, and source with its line marked.
MISSING_AWAIT = {
    "an object, fetched": (
        "album.save()",
        """
        album = await Album.objects.get(pk=pk)
        album.title = "Pastel Blues"
        album.save()  # here
        """,
    ),
    "an object, made": ("album.save()", "album = Album()\nalbum.save()  # here"),
    "an object, made on the spot": ("Album().save()", "Album().save()  # here"),
    "an argument that is named after a model": ("album.save()", "album.save()  # here"),
    "an annotated argument": (
        "it.delete()",
        "async def view(it: models.Album):\n    it.delete()  # here",
    ),
    "an object of a shortcut": (
        "found.delete()",
        "found = await get_object_or_404(Album, pk=pk)\nfound.delete()  # here",
    ),
    "an object of vinyl's shortcut": (
        "found.delete()",
        "found = await web.get_object_or_404(Album, pk=pk)\nfound.delete()  # here",
    ),
    "one of a pair": (
        "found.save()",
        """
        found, created = await Album.objects.get_or_create(pk=pk)
        found.save()  # here
        """,
    ),
    "a relation that was awaited": (
        "artist.save()",
        "artist = await album.artist\nartist.save()  # here",
    ),
    "each of a loop": (
        "each.save()",
        """
        async for each in Album.objects.filter(year=1965):
            each.save()  # here
        """,
    ),
    "each of a list": (
        "each.delete()",
        """
        albums = await Album.objects.all()
        for each in albums[:3]:
            each.delete()  # here
        """,
    ),
    "each of a stream": (
        "each.delete()",
        """
        async for each in Album.objects.iterator():
            each.delete()  # here
        """,
    ),
    "either of two": (
        "found.save()",
        """
        found = None
        if pk:
            found = await Album.objects.get(pk=pk)
        else:
            found = await Album.objects.first()
        found.save()  # here
        """,
    ),
    "a model that is not loaded": (
        "found.save()",
        """
        found = await Unheard.objects.get(pk=pk)
        found.save()  # here
        """,
    ),
    "a method of the model's own": (
        "user.get_next_by_date_joined()",
        "async def view(user):\n    user.get_next_by_date_joined()  # here",
    ),
    "an async name of Django's": (
        "Album.objects.adelete()",
        "Album.objects.adelete()  # here",
    ),
    "an overridden save": (
        "super().save(*args)",
        """
        class Album(models.Model):
            async def save(self, *args):
                super().save(*args)  # here
        """,
    ),
    "a method's own object": (
        "self.save()",
        """
        class Album(models.Model):
            async def retitle(self, title):
                self.title = title
                self.save()  # here
        """,
    ),
    "a method's own queryset": (
        "self.filter(year=1965).delete()",
        """
        class AlbumQuerySet(models.QuerySet):
            async def forget(self):
                self.filter(year=1965).delete()  # here
        """,
    ),
    "a related manager": (
        "album.tracks.add(track)",
        "track = Track()\nalbum.tracks.add(track)  # here",
    ),
    "a related manager of many to many": (
        "album.genres.clear()",
        "album.genres.clear()  # here",
    ),
    "a generic related manager": (
        "album.tags.create(word='live')",
        "album.tags.create(word='live')  # here",
    ),
    "a manager of users": (
        "User.objects.create_user('nina')",
        "User.objects.create_user('nina')  # here",
    ),
    "a call of a qualified name": (
        "models.Album.objects.create(title='x')",
        "models.Album.objects.create(title='x')  # here",
    ),
    "a manager of a class": (
        "cls.objects.create()",
        """
        class Album(models.Model):
            @classmethod
            async def make(cls):
                cls.objects.create()  # here
        """,
    ),
    "an object of any model": (
        "it.save()",
        """
        async def view(it: Model):
            it.tracks.clear()
            Model.objects.get()
            it.save()  # here
        """,
    ),
    "a manager that is given": (
        "albums.update(year=1965)",
        """
        async def view(albums: QuerySet[Album]):
            albums.update(year=1965)  # here
        """,
    ),
    "a queryset of the project's own method": (
        "Album.objects.from_the_sixties().exists()",
        """
        if Album.objects.from_the_sixties().exists():  # here
            pass
        """,
    ),
    "a function": (
        "prefetch_related_objects([album], 'tracks')",
        "prefetch_related_objects([album], 'tracks')  # here",
    ),
    "a function that is driven": ("fetch(album)", "fetch(album)  # here"),
    "if": (
        "albums.exists()",
        """
        albums = Album.objects.filter(pk=pk)
        albums = albums.order_by("year")
        if pk and albums.exists():  # here
            pass
        """,
    ),
    "not": ("Album.objects.exists()", "gone = not Album.objects.exists()  # here"),
    "or": ("Album.objects.first()", "one = Album.objects.first() or album  # here"),
    "while": (
        "Album.objects.exists()",
        """
        while Album.objects.exists():  # here
            pass
        """,
    ),
    "assert": (
        "Album.objects.exists()",
        "assert Album.objects.exists()  # here",
    ),
    "a conditional expression": (
        "Album.objects.count()",
        "return 'many' if Album.objects.count() > 100 else 'few'  # here",
    ),
    "a walrus": (
        "Album.objects.count()",
        "if (count := Album.objects.count()) > 3:  # here\n    return count",
    ),
    "is": (
        "Album.objects.first()",
        "return Album.objects.first() is None  # here",
    ),
    "in": (
        "Album.objects.in_bulk()",
        "return pk in Album.objects.in_bulk()  # here",
    ),
    "a sum": ("Album.objects.count()", "return 1 + Album.objects.count()  # here"),
    "adding up": ("Album.objects.count()", "pk += Album.objects.count()  # here"),
    "an f-string": (
        "Album.objects.count()",
        "return f'{Album.objects.count()} albums'  # here",
    ),
    "an attribute": (
        "Album.objects.get(pk=pk)",
        "return Album.objects.get(pk=pk).title  # here",
    ),
    "an index": (
        "Album.objects.in_bulk([pk])",
        "return Album.objects.in_bulk([pk])[pk]  # here",
    ),
    "unpacking": (
        "Album.objects.get_or_create(pk=pk)",
        "album, created = Album.objects.get_or_create(pk=pk)  # here",
    ),
    "a variable that nobody reads": (
        "Album.objects.count()",
        "count = Album.objects.count()  # here",
    ),
    "a variable that is only compared": (
        "Album.objects.count()",
        """
        count = Album.objects.count()  # here
        if count > 3 and not count:
            return f"{count}"
        """,
    ),
    "a variable that is compared and passed on": (
        "count",
        """
        count = Album.objects.count()
        if count > 3:  # here
            return count
        """,
    ),
    "the condition of a comprehension": (
        "each.genres.exists()",
        """
        albums = await Album.objects.all()
        return [each for each in albums if each.genres.exists()]  # here
        """,
    ),
    "an async def in a def": (
        "album.save()",
        """
        def outer():
            async def inner(album):
                album.save()  # here
        """,
    ),
    "an async def in an async def": (
        "album.save()",
        """
        async def outer():
            async def inner(album):
                album.save()  # here
            await inner()
        """,
    ),
    "a call over several lines": (
        "Album.objects.filter(title='Pastel Blues').delete()",
        """
        Album.objects.filter(  # here
            title='Pastel Blues'
        ).delete()
        """,
    ),
}

MISSING_ROWS = {
    "for": (
        "Album.objects.filter(year=1965)",
        """
        for each in Album.objects.filter(year=1965):  # here
            pass
        """,
    ),
    "for over a variable": (
        "albums",
        """
        albums = Album.objects.all()
        for each in albums:  # here
            pass
        return await web.render("albums.html", {"albums": albums})
        """,
    ),
    "for over a slice": (
        "Album.objects.all()[:5]",
        "for each in Album.objects.all()[:5]:  # here\n    pass",
    ),
    "for over a relation that is filtered": (
        "album.tracks.filter(position=1)",
        """
        for each in album.tracks.filter(position=1):  # here
            pass
        """,
    ),
    "for over a raw query": (
        "Album.objects.raw('SELECT 1')",
        "for each in Album.objects.raw('SELECT 1'):  # here\n    pass",
    ),
    "for over a stream": (
        "Album.objects.iterator()",
        "for each in Album.objects.iterator():  # here\n    pass",
    ),
    "a comprehension": (
        "Album.objects.all()",
        "return [each.title for each in Album.objects.all()]  # here",
    ),
    "list()": ("Album.objects.all()", "return list(Album.objects.all())  # here"),
    "len()": ("Album.objects.all()", "return len(Album.objects.all())  # here"),
    "bool()": ("Album.objects.all()", "return bool(Album.objects.all())  # here"),
    "sorted()": ("Album.objects.all()", "sorted(Album.objects.all(), key=str)  # here"),
    "if": (
        "albums",
        """
        albums = Album.objects.filter(pk=pk)
        if not albums:  # here
            raise LookupError
        """,
    ),
    "in": ("Album.objects.all()", "return album in Album.objects.all()  # here"),
    "a star": ("Album.objects.all()", "return [album, *Album.objects.all()]  # here"),
    "unpacking": ("Album.objects.all()", "one, two = Album.objects.all()  # here"),
}

BLOCKING = {
    "atomic": (
        "transaction.atomic()",
        """
        with transaction.atomic():  # here
            await album.save()
        """,
    ),
    "atomic among others": (
        "transaction.atomic(durable=True)",
        """
        with open("notes") as notes, transaction.atomic(durable=True):  # here
            pass
        """,
    ),
}


@pytest.mark.parametrize(
    ("kind", "code", "source"),
    [
        pytest.param(kind, *case, id=f"{kind}: {name}")
        for kind, cases in [
            ("call", MISSING_AWAIT),
            ("queryset", MISSING_ROWS),
            ("atomic", BLOCKING),
        ]
        for name, case in cases.items()
    ],
)
def test_is_found(kind: str, code: str, source: str) -> None:
    assert_found(kind, code, source)


@pytest.mark.parametrize(
    "method",
    [
        (kind, name)
        for patch in table.TABLE
        if patch.decorator is mode.dual
        and patch.owner.endswith((":Model", "Manager", "QuerySet"))
        for kind in ["album" if patch.owner.endswith(":Model") else "Album.objects"]
        for name in patch.names.split()
    ],
    ids=".".join,
)
def test_each_method_of_the_table_is_known(method: tuple[str, str]) -> None:
    code = f"{'.'.join(method)}()"
    assert_found("call", code, f"{code}  # here")


@pytest.mark.timeout(10)
def test_a_long_chain_is_read_in_no_time() -> None:
    assert_found("call", "album.save()", f"a{'.b' * 600}\nalbum.save()  # here")
