"""Forgotten awaits are found in source code, and nothing else is."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from tests.records import models
from vinyl.orm import dualmode, rows
from vinyl.orm.awaits import find

ROOT = Path(__file__).parents[2]

IMPORTS = """\
import asyncio
from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404
from vinyl import web
from vinyl.orm import fetch, prefetch_related_objects, run, transaction
from vinyl.orm.models import Manager, Model, QuerySet
from . import models
from .models import Album, AlbumQuerySet, Artist, Memo, Stamped, Track
"""


def found(source: str) -> list[tuple[str, int, str]]:
    """Kind, line and code of what is found in *source*."""
    return [
        (one.kind, one.node.lineno, ast.unparse(one.node))
        for one in find(source, "tests.records.views", "tests.records")
    ]


def function(code: str) -> str:
    """A module with *code*, which is the body of an `async def` if it has none."""
    code = textwrap.dedent(code)
    if "async def" not in code:
        code = "async def view(album, pk):\n" + textwrap.indent(code, "    ")
    return IMPORTS + code


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

FINE = {
    "awaited": """
        album = await Album.objects.get(pk=pk)
        await album.save()
        await album.tracks.add(await Track.objects.acreate())
        return await (album.save() if pk else album.delete())
        """,
    "awaited, then used": """
        count = (await Album.objects.count()) + 1
        title = (await Album.objects.get(pk=pk)).title
        if await Album.objects.exists() and not await album.genres.exists():
            return f"{await Album.objects.count()}"
        """,
    "awaited later": """
        count = Album.objects.count()
        deleting = Track.objects.all().delete()
        await deleting
        return await count
        """,
    "awaited later under the same name": """
        count = Album.objects.count()
        count = await count
        return count > 3
        """,
    "returned": "return Album.objects.count()",
    "returned from a variable": "count = Album.objects.count()\nreturn count",
    "given to a task": "asyncio.create_task(album.save())",
    "given to a task group": """
        async with asyncio.TaskGroup() as group:
            group.create_task(album.save())
            [group.create_task(each.save()) for each in await Album.objects.all()]
        """,
    "gathered": """
        await asyncio.gather(album.save(), Album.objects.count())
        await asyncio.gather(*[each.save() for each in await Album.objects.all()])
        await asyncio.gather(*(each.save() for each in await Album.objects.all()))
        """,
    "waited for": "await asyncio.wait_for(album.save(), 1)",
    "given to any function": "register(album.save(), key=Album.objects.count())",
    "collected": """
        calls = [album.save(), album.delete()]
        calls.append(album.save())
        by_name = {"count": Album.objects.count()}
        by_name["save"] = album.save()
        self.saving = album.save()
        """,
    "kept for a function inside": """
        saving = album.save()
        async def later():
            await saving
        return later
        """,
    "closed": "call = album.save()\ncall.close()",
    "given another name": """
        call = album.save()
        same = call
        await call
        """,
    "kept in a global": "global call\ncall = Album.objects.count()",
    "a method, not called": """
        transaction.on_commit(album.save)
        await run(album.save)
        """,
    "def": """
        def view():
            album = Album.objects.get(pk=1)
            album.save()
            with transaction.atomic():
                return list(Album.objects.all())
        """,
    "def inside": """
        def change():
            with transaction.atomic():
                Album.objects.update(year=1965)
                if Album.objects.exists():
                    return len(Album.objects.all())
        await run(change)
        """,
    "lambda inside": "await run(lambda: list(Album.objects.all()) and album.save())",
    "a generator for the bridge": """
        await run(sum, (each.year for each in Album.objects.all() if each.genres.all()))
        """,
    "a def in a method": """
        class Album(models.Model):
            def save(self, *args):
                super().save(*args)
                self.tracks.create(title="bonus")
        """,
    "a queryset, awaited": """
        albums = Album.objects.all()
        await albums
        for each in albums:
            pass
        return list(albums), len(albums), bool(albums), album in albums
        """,
    "a queryset, loaded elsewhere": """
        albums = Album.objects.all()
        await fetch(albums, "artist")
        return [each.artist for each in albums]
        """,
    "a queryset, awaited by another name": """
        albums = others = Album.objects.all()
        await others
        shelf = albums
        return len(albums) + len(shelf)
        """,
    "a queryset, maybe awaited": """
        albums = Album.objects.all()
        if pk:
            await albums
        for each in albums:
            pass
        """,
    "a variable that is a queryset, then a list": """
        albums = Album.objects.all()
        albums = await albums
        for each in albums:
            pass
        return albums.count(album)
        """,
    "async for": """
        async for each in Album.objects.all():
            pass
        return [each async for each in Album.objects.iterator()]
        """,
    "for over what was awaited": """
        for each in await Album.objects.all():
            pass
        return [each.title for each in (await Album.objects.all())[:3]]
        """,
    "a relation that may be prefetched": """
        for album in await Album.objects.prefetch_related("tracks"):
            for track in album.tracks.all():
                pass
            if album.genres.all():
                return list(album.tracks.all()), len(album.tracks.all())
        """,
    "a method's own rows": """
        class AlbumQuerySet(models.QuerySet):
            async def titles(self):
                return [each.title for each in self]
        """,
    "a queryset as an argument": """
        async def view(albums: QuerySet):
            return [each.title for each in albums]
        """,
    "a queryset that stays lazy": """
        albums = Album.objects.all()
        if pk:
            albums = albums.filter(pk=pk)
        both = albums | Album.objects.none()
        print(f"{albums!r}")
        return await web.render("albums.html", {"albums": albums[:10], "both": both})
        """,
    "async with": """
        async with transaction.atomic():
            await album.save()
        """,
    "a decorated coroutine function": """
        @transaction.atomic
        async def view(album):
            await album.save()
        """,
    "dict, set, list, str": """
        seen, rows, text = {}, set(), ""
        seen.get(pk), seen.update(a=1), seen.clear(), seen.setdefault(pk, []).count(1)
        rows.add(pk)
        rows.remove(pk)
        rows.clear()
        [pk].count(pk)
        text.count("a")
        if seen.get(pk) and text.count("a") > 3:
            return seen.get(pk).title
        """,
    "other things with such methods": """
        async def view(request, cache, form, path, client, counter):
            cache.set("a", 1)
            cache.delete("a")
            form.save()
            if path.exists() or form.is_valid():
                counter.update([1])
            self.tracks.add(1)
            self.genres.clear()
            node.tags.remove("live")
            client.tracks.create(title="x")
            request.session.save()
            request.headers.get("a").title
            self.image.save("image.png")
            if client.get("/").status == 200:
                return client.first()
        """,
    "a variable with the name of a model": """
        async def view(track):
            album = {}
            album.clear()
            album.save()
            label = make_label()
            label.delete()
            track.save("track.mp3")
            async with asyncio.timeout(1) as genre:
                genre.save()
            for artist in make_artists():
                artist.delete()
        """,
    "an argument of another class": """
        async def view(album: Shelf, track: dict, artist: "Album"):
            album.save()
            album.tracks.clear()
            track.clear()
            artist.delete()
        """,
    "one name for several things": """
        found = await Album.objects.get(pk=pk)
        if not pk:
            found = Draft()
        found.save()
        """,
    "other things with objects": """
        for each in bucket.objects.all():
            each.delete()
        bucket.objects.filter(Prefix="a").delete()
        if asyncio.objects.count():
            pass
        """,
    "other things with a filter": """
        rows = session.query(Unheard).filter(Unheard.year == 1965).order_by("a")
        if rows.count() and rows.first():
            rows.delete()
        for each in machines.filter(Filters=[1]):
            pass
        for each in frame.filter(**columns):
            pass
        for each in frame.filter(items=["a"]):
            pass
        """,
    "what a method of the project's own gives": """
        stats = Album.objects.stats()
        stats.update(a=1)
        if Album.objects.stats().get("a") or stats:
            return [each for each in Album.objects.stats()]
        """,
    "methods of an object that are not the table's": """
        album = await Album.objects.get(pk=pk)
        album.get_absolute_url()
        album.add(1)
        album.update(a=1)
        if album.tracks and str(album) and album.clean_title():
            return album.artist_id
        """,
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
    source = function(source)
    line = 1 + source[: source.index("# here")].count("\n")
    assert found(source) == [(kind, line, code)]


@pytest.mark.parametrize("source", FINE.values(), ids=FINE.keys())
def test_is_not_found(source: str) -> None:
    assert found(function(source)) == []


@pytest.mark.parametrize(
    "method",
    [
        (kind, name)
        for row in dualmode.TABLE
        if row.change is rows.dual
        and row.owner.endswith((":Model", "Manager", "QuerySet"))
        for kind in ["album" if row.owner.endswith(":Model") else "Album.objects"]
        for name in row.names.split()
    ],
    ids=".".join,
)
def test_each_method_of_the_table_is_known(method: tuple[str, str]) -> None:
    code = f"{'.'.join(method)}()"
    test_is_found("call", code, f"{code}  # here")


def test_a_module_that_loads_when_it_is_looked_at_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> None:
            raise AssertionError(f"{name} was looked up.")

    monkeypatch.setitem(sys.modules, "records", Lazy("records"))
    assert found(function("from records import Album\nAlbum().save()")) == []


@pytest.mark.timeout(10)
def test_a_long_chain_is_read_in_no_time() -> None:
    test_is_found("call", "album.save()", f"a{'.b' * 600}\nalbum.save()  # here")


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models under the name that the examples have for them."""
    monkeypatch.setitem(sys.modules, "records", ModuleType("records"))
    monkeypatch.setitem(sys.modules, "records.models", models)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("template", ["app", "bare", "example"])
def test_the_project_template_is_fine(template: str) -> None:
    paths = sorted((ROOT / "project_template" / template).rglob("*.py*"))
    assert paths
    for path in paths:
        source = re.sub(r"{% .*? %}|{{ | }}", "", path.read_text())
        assert find(source, "records.views", "records") == []


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: page.stem,
)
def test_the_examples_of_the_docs_are_fine(page: Path) -> None:
    names = (
        "from records.models import Album, Artist\nfrom vinyl.orm import transaction\n"
    )
    for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        # The end of README's example is for where there is no event loop.
        code = code.partition("# The same calls in a script")[0]
        if "async def" not in code:
            code = "async def example():\n" + textwrap.indent(code, "    ")
        assert find(names + code, "records.views", "records") == []
