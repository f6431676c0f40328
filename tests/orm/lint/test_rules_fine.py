"""Where nothing is forgotten, nothing is found."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from tests.orm.scenarios.reading import found, function
from tests.records import models
from vinyl.orm.lint.rules import find

ROOT = Path(__file__).parents[3]

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
        async def view(connection, cache, form, path, client, counter):
            cache.set("a", 1)
            cache.delete("a")
            form.save()
            if path.exists() or form.is_valid():
                counter.update([1])
            self.tracks.add(1)
            self.genres.clear()
            node.tags.remove("live")
            client.tracks.create(title="x")
            connection.session.save()
            connection.headers.get("a").title
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


@pytest.mark.parametrize("source", FINE.values(), ids=FINE.keys())
def test_is_not_found(source: str) -> None:
    assert found(function(source)) == []


def test_a_module_that_loads_when_it_is_looked_at_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> None:
            raise AssertionError(f"{name} was looked up.")

    monkeypatch.setitem(sys.modules, "records", Lazy("records"))
    assert found(function("from records import Album\nAlbum().save()")) == []


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
