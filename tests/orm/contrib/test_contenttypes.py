"""Generic relations, in a process that has not met their content types yet."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, comparison-overlap, func-returns-value"
# mypy: disable-error-code="misc, unreachable"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models

from tests.fix_content_types import cold
from tests.records.models import Album, Artist, Tag, Track
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run
from vinyl.orm.contrib.contenttypes import UnknownContentType

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def from_bulk_create() -> Album:
    artist = await Artist.objects.get()
    [album] = await Album.objects.bulk_create([Album(title="new", artist=artist)])
    return album


async def behind_select_related() -> Album:
    await Artist.objects.create(name="Without an album")
    rows = Track.objects.select_related("album__label", "album__artist")
    return (await rows.get()).album


async def in_bulk() -> Album:
    return next(iter((await Album.objects.in_bulk()).values()))


async def streamed() -> Album:
    return [album async for album in Album.objects.iterator()][0]


async def from_raw_sql() -> Album:
    return (await Album.objects.raw("SELECT * FROM records_album"))[0]


async def from_a_cache() -> Album:
    return pickle.loads(pickle.dumps(await Album.objects.first()))


async def made_by_hand() -> Album:
    first: Any = await Album.objects.order_by("pk").first()
    return Album(pk=first.pk, title="by hand")


async def prefetched() -> Album:
    artist = await Artist.objects.prefetch_related("albums").get()
    return artist.albums.all()[0]


SOURCES = [
    from_bulk_create,
    behind_select_related,
    in_bulk,
    streamed,
    from_raw_sql,
    from_a_cache,
    made_by_hand,
    prefetched,
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
async def test_an_instance_of_any_source(shop: Any, source: Callable[..., Any]) -> None:
    album = await source()
    for word in ("one", "two"):
        cold()
        tag = await album.tags.create(word=word)
        assert (tag.content_type_id, tag.object_id) == (
            (await run(ContentType.objects.get_for_model, Album)).pk,
            album.pk,
        )
        assert type(tag.content_type_id) is int
    cold()
    assert {tag.word for tag in await album.tags.all()} >= {"one", "two"}


RELATION: dict[str, Callable[[Any], Any]] = {
    "all": lambda shop: shop.album.tags.all(),
    "filter": lambda shop: shop.album.tags.filter(word="live"),
    "exclude": lambda shop: shop.album.tags.exclude(word="studio"),
    "count": lambda shop: shop.album.tags.count(),
    "exists": lambda shop: shop.album.tags.filter(word="live").exists(),
    "first": lambda shop: shop.album.tags.first(),
    "last of a slice": lambda shop: shop.album.tags.all()[:1],
    "values": lambda shop: shop.album.tags.values_list("word", flat=True),
    "aggregate": lambda shop: shop.album.tags.aggregate(n=models.Count("pk")),
    "annotate": lambda shop: shop.album.tags.annotate(
        n=models.Count("content_type")
    ).values_list("word", "n"),
    "union": lambda shop: shop.album.tags.filter(word="live").union(
        shop.album.tags.filter(word="x")
    ),
    "or": lambda shop: shop.album.tags.filter(word="live") | shop.album.tags.all(),
    "update": lambda shop: shop.album.tags.update(word="later"),
    "delete": lambda shop: shop.album.tags.all().delete(),
    "in a subquery": lambda shop: Album.objects.filter(
        pk__in=shop.album.tags.values("object_id")
    ),
    "in exists": lambda shop: Album.objects.filter(
        models.Exists(shop.album.tags.filter(object_id=models.OuterRef("pk")))
    ),
    "joined": lambda shop: Album.objects.filter(tags__word="live"),
    "joined, excluding": lambda shop: Album.objects.exclude(tags__word="live"),
    "joined, counting": lambda shop: (
        Album.objects.annotate(n=models.Count("tags"))
        .order_by("title")
        .values_list("n", flat=True)
    ),
    "filtered relation": lambda shop: Album.objects.annotate(
        live=models.FilteredRelation("tags", condition=models.Q(tags__word="live"))
    ).filter(live__isnull=False),
    "prefetched": lambda shop: Album.objects.prefetch_related("tags"),
    "create": lambda shop: shop.album.tags.create(word="new"),
    "get_or_create": lambda shop: shop.album.tags.get_or_create(word="new"),
    "update_or_create": lambda shop: shop.album.tags.update_or_create(
        word="live", defaults={"word": "newer"}
    ),
    "add": lambda shop: shop.album.tags.add(shop.tag),
    "add one by one": lambda shop: shop.album.tags.add(Tag(word="x"), bulk=False),
    "set": lambda shop: shop.album.tags.set([shop.tag]),
    "set nothing": lambda shop: shop.album.tags.set([]),
    "remove": lambda shop: shop.album.tags.remove(shop.tag),
    "clear": lambda shop: shop.album.tags.clear(),
    "by another manager": lambda shop: shop.album.tags(manager="objects").count(),
    "of a new target": lambda shop: Tag.objects.create(word="x", target=shop.artist),
    "the target": lambda shop: shop.tag.target,
}


def plain(value: Any) -> Any:
    match value:
        case models.QuerySet() | list() | tuple():
            return [plain(one) for one in value]
        case models.Model():
            return type(value).__name__, getattr(value, "word", value.pk)
    return value


@pytest.mark.parametrize("operation", RELATION.values(), ids=RELATION.keys())
async def test_operations_have_the_same_results_in_both_modes(
    shop: Any, operation: Callable[..., Any]
) -> None:
    def again() -> Any:
        found = plain(operation(shop))
        return found, list(Tag.objects.order_by("pk").values_list("word", "object_id"))

    def in_sync() -> Any:
        Tag.objects.all().delete()
        shop.tag = Tag.objects.create(word="live", target=shop.album)
        return again()

    expected = await run(in_sync)
    await Tag.objects.all().delete()
    shop.tag = await Tag.objects.create(word="live", target=shop.album)
    shop.tag = await Tag.objects.get(pk=shop.tag.pk)
    cold()
    found = plain(await operation(shop))
    rows = await Tag.objects.order_by("pk").values_list("word", "object_id")
    assert (found, rows) == expected


async def test_a_queryset_asks_nothing_until_it_runs(
    shop: Any, queries: list[str]
) -> None:
    found = shop.album.tags.filter(word="live")
    assert queries == []
    again = Tag.objects.all()
    again.query = pickle.loads(pickle.dumps(found.query))
    assert await found.count() == await again.count() == 1
    # The content type; two counts.
    assert len(queries) == 3


async def test_the_text_of_its_query_can_be_shown(
    shop: Any, queries: list[str]
) -> None:
    text = str(shop.album.tags.all().query)
    assert '"content_type_id" = (SELECT' in text
    assert queries == []
    await shop.album.tags.count()
    assert "SELECT" not in str(shop.album.tags.all().query)[7:]


async def test_the_content_type_itself_is_known_or_refused(shop: Any) -> None:
    with pytest.raises(NotAwaitedError, match=r"records\.Album is not known.*run\(Co"):
        ContentType.objects.get_for_model(Album)
    manager = shop.album.tags
    with pytest.raises(NotAwaitedError):
        manager.content_type  # noqa: B018
    assert (await run(lambda: manager.content_type)).model == "album"
    assert ContentType.objects.get_for_model(Album) == manager.content_type


class Note(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    target = GenericForeignKey(for_concrete_model=False)

    class Meta:
        app_label = "generic_of_tests"

    def __str__(self) -> str:
        return str(self.pk)


class Noted(models.Model):
    notes = GenericRelation(Note, for_concrete_model=False)

    class Meta:
        app_label = "generic_of_tests"

    def __str__(self) -> str:
        return str(self.pk)


class NotedProxy(Noted):
    class Meta:
        proxy = True
        app_label = "generic_of_tests"


class NotedChild(Noted):
    class Meta:
        app_label = "generic_of_tests"


@pytest.fixture
def tables(db: str) -> Iterator[None]:
    made = (Note, Noted, NotedChild)
    with connections["default"].schema_editor() as editor:
        for model in made:
            editor.create_model(model)
    connections["default"].close()
    yield
    with connections["default"].schema_editor() as editor:
        for model in reversed(made):
            editor.delete_model(model)
    ContentType.objects.filter(app_label="generic_of_tests").delete()


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("model", [Noted, NotedProxy, NotedChild])
async def test_of_proxies_and_children(model: Any) -> None:
    one = await model.objects.create()
    cold()
    first = Note(target=one)
    cold()
    await first.save()
    cold()
    second = await one.notes.create()
    for note in (first, second):
        content_type = await (await Note.objects.get(pk=note.pk)).content_type
        assert content_type.model == model._meta.model_name
    cold()
    assert await one.notes.count() == 2


async def test_on_a_second_database(replica: None) -> None:
    def make(alias: str) -> Album:
        if alias == "replica":
            # So that the new one has another key than that of the first database. There
            # it stays: the permissions of other tests would go with it.
            types = ContentType.objects.using(alias)
            types.filter(app_label="records", model="album").delete()
        artist = Artist.objects.using(alias).get()
        return Album.objects.using(alias).create(title="x", artist=artist)

    albums = {alias: await run(make, alias) for alias in ("default", "replica")}
    for album in albums.values():
        cold()
        await album.tags.create(word="x")
        tag = Tag(word="y", target=album)
        await tag.save(using=album._state.db)
    for alias, album in albums.items():
        cold()
        assert await album.tags.count() == 2
        for tag in await Tag.objects.using(alias).all():
            assert await tag.target == album
    keys = {
        (await ContentType.objects.using(alias).get(model="album")).pk
        for alias in albums
    }
    assert len(keys) == 2
    cold()


def test_a_stand_in_is_equal_to_another_of_the_same() -> None:
    def made(model: Any) -> UnknownContentType:
        return UnknownContentType(model, "default", True)

    assert made(Album) == made(Album)
    assert made(Album) != made(Artist)
