"""Each patch of the table: the same result in sync mode, awaited, and in the bridge."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"
# mypy: disable-error-code="unreachable, unused-coroutine"

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import markcoroutinefunction
from django.contrib.auth.models import User, UserManager
from django.db.models import (
    Count,
    Max,
    Model,
    QuerySet,
    aprefetch_related_objects,
    signals,
)
from django.http import Http404
from django.shortcuts import (
    aget_list_or_404,
    aget_object_or_404,
    get_list_or_404,
    get_object_or_404,
)

from tests.records.models import Album, Artist, Genre, Label, Memo, Review, Tag, Track
from vinyl.bridge import mode, patching
from vinyl.bridge.calls import Call
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import await_, prefetch_related_objects, run, transaction
from vinyl.orm.dualmode import table

pytestmark = pytest.mark.usefixtures("db")


def make_records() -> SimpleNamespace:
    """A few records, and some of them at hand as instances."""
    nina = Artist.objects.create(name="Nina Simone")
    aretha = Artist.objects.create(name="Aretha Franklin")
    philips = Label.objects.create(name="Philips")
    jazz, soul, folk = (Genre.objects.create(name=n) for n in ("Jazz", "Soul", "Folk"))
    for year, title, artist in [
        (1965, "Pastel Blues", nina),
        (1966, "Wild Is the Wind", nina),
        (1967, "Aretha Arrives", aretha),
    ]:
        album = Album.objects.create(
            title=title,
            year=year,
            artist=artist,
            label=philips,
            released=f"{year}-01-01",
        )
        album.genres.set([jazz, soul])
        for position in range(3):
            album.tracks.create(title=f"{title} {position}", position=position)
    return SimpleNamespace(
        album=Album.objects.select_related("artist", "label").get(year=1965),
        artist=aretha,
        label=philips,
        jazz=jazz,
        folk=folk,
        track=Track.objects.get(title="Aretha Arrives 0"),
    )


def snapshot() -> dict[str, list[Any]]:
    """All rows, without the keys, which differ from run to run."""
    album_genres = Album.genres.through.objects
    return {
        "artists": list(Artist.objects.values_list("name")),
        "labels": list(Label.objects.values_list("name")),
        "genres": list(Genre.objects.values_list("name").order_by("name")),
        "albums": list(
            Album.objects.values_list("title", "year", "notes", "artist__name")
        ),
        "tracks": list(
            Track.objects.values_list("title", "album__title").order_by("title")
        ),
        "album genres": sorted(album_genres.values_list("album__title", "genre__name")),
    }


def plain(value: Any) -> Any:
    """*value* in a form that is equal between two runs."""
    match value:
        case list() | tuple() | set():
            return [plain(item) for item in value]
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case User():
            return value.username, value.check_password("secret")
        case _ if hasattr(value, "_meta"):
            fields = [f.name for f in value._meta.concrete_fields if not f.is_relation]
            fields = [n for n in fields if n not in (value._meta.pk.name, "object_id")]
            return type(value).__name__, [getattr(value, name) for name in fields]
    return value


OPERATIONS: dict[str, Callable[[SimpleNamespace], Any]] = {
    "get": lambda shop: Album.objects.get(year=1965),
    "get: none": lambda shop: Album.objects.get(year=1900),
    "get: several": lambda shop: Album.objects.get(year__gt=1900),
    "first": lambda shop: Album.objects.first(),
    "first: none": lambda shop: Album.objects.none().first(),
    "last": lambda shop: Album.objects.last(),
    "earliest": lambda shop: Album.objects.earliest("year"),
    "latest": lambda shop: Album.objects.latest("year"),
    "count": lambda shop: Album.objects.count(),
    "exists": lambda shop: Album.objects.filter(year=1965).exists(),
    "contains": lambda shop: Album.objects.contains(shop.album),
    "aggregate": lambda shop: Album.objects.aggregate(Count("pk"), Max("year")),
    "in_bulk": lambda shop: Artist.objects.in_bulk(["Nina Simone"], field_name="name"),
    "create": lambda shop: Artist.objects.create(name="Mavis Staples"),
    "create: not unique": lambda shop: Artist.objects.create(name="Nina Simone"),
    "get_or_create: there": lambda shop: Artist.objects.get_or_create(
        name="Nina Simone"
    ),
    "get_or_create: new": lambda shop: Artist.objects.get_or_create(name="Mavis"),
    "update_or_create": lambda shop: Genre.objects.update_or_create(
        {"name": "Blues"}, name="Jazz"
    ),
    "bulk_create": lambda shop: Genre.objects.bulk_create([Genre(name="Pop")]),
    "bulk_create: ignoring": lambda shop: Artist.objects.bulk_create(
        [Artist(name="Nina Simone")], ignore_conflicts=True
    ),
    "bulk_update": lambda shop: Genre.objects.bulk_update(
        [Genre(pk=shop.jazz.pk, name="Blues")], ["name"]
    ),
    "update_or_create: there": lambda shop: Artist.objects.update_or_create(
        name="Nina Simone", defaults={"name": "Nina"}
    ),
    "update": lambda shop: Album.objects.update(notes="played"),
    "delete": lambda shop: Track.objects.filter(position=1).delete(),
    "delete: cascading": lambda shop: Artist.objects.filter(
        name="Nina Simone"
    ).delete(),
    "delete: overridden": lambda shop: Album.objects.filter(year=1965).delete(),
    "queryset": lambda shop: Album.objects.all(),
    "queryset: index": lambda shop: Album.objects.order_by("-year")[1],
    "queryset: slice with a step": lambda shop: Album.objects.order_by("year")[0:3:2],
    "queryset: values": lambda shop: Album.objects.values("title", "artist__name"),
    "queryset: dates": lambda shop: Album.objects.dates("released", "year"),
    "queryset: method of its own": lambda shop: (
        Album.objects.from_the_sixties().count()
    ),
    "queryset: union": lambda shop: Album.objects.filter(year=1965).union(
        Album.objects.filter(year=1967)
    ),
    "queryset: intersection": lambda shop: Album.objects.filter(
        year__gt=1965
    ).intersection(Album.objects.filter(year__lt=1967)),
    "queryset: difference": lambda shop: Album.objects.difference(
        Album.objects.filter(year__gt=1965)
    ),
    "queryset: values_list": lambda shop: Album.objects.values_list("year", flat=True),
    "queryset: only": lambda shop: Album.objects.only("title", "year", "notes"),
    "queryset: using": lambda shop: Album.objects.using("default").first(),
    "queryset: raw, index": lambda shop: Album.objects.raw(
        "SELECT * FROM records_album ORDER BY year"
    )[1],
    "queryset: raw": lambda shop: Album.objects.raw(
        "SELECT * FROM records_album ORDER BY year"
    ),
    "save": lambda shop: shop.album.save(),
    "save: some fields": lambda shop: shop.album.save(update_fields=["title"]),
    "save: a key that is taken": lambda shop: shop.album.save(force_insert=True),
    "save: overridden": lambda shop: Review(album=shop.album, text="Good").save(),
    "delete an instance": lambda shop: shop.album.delete(),
    "refresh_from_db": lambda shop: shop.album.refresh_from_db(),
    "full_clean": lambda shop: Artist(name="Nina Simone").full_clean(),
    "full_clean: good": lambda shop: Artist(name="Mavis").full_clean(),
    "clean": lambda shop: shop.artist.clean(),
    "clean_fields": lambda shop: Artist(name="").clean_fields(),
    "validate_constraints": lambda shop: shop.artist.validate_constraints(),
    "validate_unique": lambda shop: Artist(name="Nina Simone").validate_unique(),
    "get_next_by": lambda shop: shop.album.get_next_by_released(),
    "get_previous_by: none": lambda shop: shop.album.get_previous_by_released(),
    "foreign key: all": lambda shop: shop.album.tracks.all(),
    "foreign key: add": lambda shop: shop.album.tracks.add(shop.track),
    "foreign key: create": lambda shop: shop.album.tracks.create(title="bonus"),
    "foreign key: get_or_create": lambda shop: shop.album.tracks.get_or_create(
        title="bonus"
    ),
    "foreign key: update_or_create": lambda shop: shop.album.tracks.update_or_create(
        {"position": 9}, title="Pastel Blues 0"
    ),
    "foreign key: set": lambda shop: shop.label.albums.set([shop.album]),
    "foreign key: clear": lambda shop: shop.label.albums.clear(),
    "foreign key: remove": lambda shop: shop.label.albums.remove(shop.album),
    "many to many: all": lambda shop: shop.album.genres.order_by("name"),
    "many to many: add": lambda shop: shop.album.genres.add(shop.folk),
    "many to many: create": lambda shop: shop.album.genres.create(name="Blues"),
    "many to many: get_or_create": lambda shop: shop.album.genres.get_or_create(
        name="Blues"
    ),
    "many to many: update_or_create": lambda shop: shop.album.genres.update_or_create(
        {"name": "Blues"}, name="Jazz"
    ),
    "many to many: remove": lambda shop: shop.album.genres.remove(shop.jazz),
    "many to many: set": lambda shop: shop.album.genres.set([shop.folk, shop.jazz]),
    "many to many: clear": lambda shop: shop.album.genres.clear(),
    "generic: create": lambda shop: shop.album.tags.create(word="live"),
    "generic: get_or_create": lambda shop: shop.album.tags.get_or_create(word="live"),
    "generic: update_or_create": lambda shop: shop.album.tags.update_or_create(
        {"word": "studio"}, word="live"
    ),
    "generic: add": lambda shop: shop.album.tags.add(Tag(word="live"), bulk=False),
    "generic: set": lambda shop: shop.album.tags.set([]),
    "generic: clear": lambda shop: shop.album.tags.clear(),
    "generic: all": lambda shop: shop.album.tags.all(),
    "prefetch_related_objects": lambda shop: prefetch_related_objects(
        [shop.album], "tracks"
    ),
    "get_object_or_404": lambda shop: get_object_or_404(Album, year=1965),
    "get_object_or_404: none": lambda shop: get_object_or_404(Album, year=1900),
    "get_list_or_404": lambda shop: get_list_or_404(Album, year__gt=1965),
    "create_user": lambda shop: User.objects.create_user("nina", password="secret"),
    "create_superuser": lambda shop: User.objects.create_superuser(
        "nina", password="secret"
    ),
}


# Every name of Django's that has an `a` in front of another.
TWINS = {
    *dir(QuerySet), *dir(Model), *dir(UserManager), "aadd", "aclear", "aremove", "aset",
    "aget_list_or_404", "aget_object_or_404", "aprefetch_related_objects",
}  # fmt: skip
# For the lambdas with changed names, and for the imports above to have a use.
NAMES = {
    **globals(),
    "aget_list_or_404": aget_list_or_404,
    "aget_object_or_404": aget_object_or_404,
    "aprefetch_related_objects": aprefetch_related_objects,
}


def twin(operation: Callable[..., Any]) -> Callable[..., Any] | None:
    """*operation* with Django's `a*` names for those that have one; None without."""
    code = operation.__code__
    names = tuple(f"a{n}" if f"a{n}" in TWINS else n for n in code.co_names)
    if names == code.co_names:
        return None
    return FunctionType(code.replace(co_names=names), NAMES)


def evaluated(result: Any) -> Any:
    """A queryset as a list, which is what awaiting it gives."""
    return list(result) if hasattr(result, "_result_cache") else result


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_gives_the_same_in_every_mode(
    operation: Callable[[SimpleNamespace], Any],
) -> None:
    async def awaited(shop: SimpleNamespace) -> Any:
        return await operation(shop)

    async def bridged(shop: SimpleNamespace) -> Any:
        return await run(lambda: evaluated(operation(shop)))

    def in_mode(mode: Callable[[SimpleNamespace], Any]) -> tuple[Any, Any]:
        shop = make_records()
        try:
            result = plain(mode(shop))
        except Exception as error:
            result = type(error), getattr(error, "message_dict", None)
        rows = snapshot()
        for model in (Review, Track, Album, Artist, Label, Genre, User):
            model._base_manager.all().delete()
        return result, rows

    in_sync = in_mode(lambda shop: evaluated(operation(shop)))
    assert in_mode(lambda shop: asyncio.run(awaited(shop))) == in_sync
    assert in_mode(lambda shop: asyncio.run(bridged(shop))) == in_sync
    if (of_twins := twin(operation)) is not None:
        assert in_mode(lambda shop: asyncio.run(of_twins(shop))) == in_sync


# What has operations in the tests of transactions, users, forms and misuse.
ELSEWHERE = (
    "django.contrib",
    "django.core.serializers",
    "django.db.models.fields.files",
    "django.db.trans",
    "django.forms",
)


def test_each_dual_mode_name_has_an_operation() -> None:
    used = {n for operation in OPERATIONS.values() for n in operation.__code__.co_names}
    names = {
        name
        for patch in table.TABLE
        if patch.decorator is mode.dual and not patch.owner.startswith(ELSEWHERE)
        for name in patch.names.split()
        if not name.startswith("_")
    }
    assert names - used <= {"explain", *table._DROPPING.split()}


@pytest.mark.anyio
async def test_a_traceback_shows_the_users_line() -> None:
    async def find() -> Any:
        call = Artist.objects.get(name="nobody")
        return await call  # the user's line

    with pytest.raises(Artist.DoesNotExist) as caught:
        await find()
    lines = [frame.line for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "return await call  # the user's line" in lines


@pytest.mark.anyio
async def test_explain_returns_the_query_plan() -> None:
    plan = await Album.objects.filter(year=1965).explain()
    assert "records_album" in plan


@pytest.mark.anyio
class TestOverrides:
    async def test_a_sync_save_runs_in_the_bridge_as_a_whole(self) -> None:
        artist = await Artist.objects.create(name="Nina")
        album = await Album.objects.create(title="Pastel", artist=artist)
        for expected in (1, 2):
            review = Review(album=album, text="Good")
            await review.save()
            assert review.revision == expected

    async def test_an_async_save_is_awaited(self) -> None:
        memo = Memo(text="Buy strings")
        await memo.save()
        assert (memo.pk is not None, memo.saves) == (True, 1)
        await memo.delete()
        assert await Memo.objects.count() == 0

    async def test_an_async_save_is_reached_from_djangos_own_code(self) -> None:
        memo = await Memo.objects.create(text="Buy strings")
        assert memo.saves == 1
        memo, created = await Memo.objects.get_or_create(text="Tune the piano")
        assert (memo.saves, created) == (1, True)

    def test_an_async_save_without_a_loop_says_why_not(self) -> None:
        with pytest.raises(NotAwaitedError, match=r"'Memo\.save' is async"):
            Memo(text="Buy strings").save()

    async def test_a_method_of_a_mixin_is_covered(self) -> None:
        seen: list[int] = []

        class Counting:
            def save(self, *args: Any, **kwargs: Any) -> None:
                seen.append(Artist.objects.count())
                super().save(*args, **kwargs)

        class CountingArtist(Counting, Artist):
            class Meta:
                app_label = "records"
                proxy = True

        try:
            call = CountingArtist(name="Nina").save()
            assert isinstance(call, Call)
            await call
        finally:
            del Artist._meta.apps.all_models["records"]["countingartist"]
            Artist._meta.apps.clear_cache()
        assert seen == [0]


@pytest.mark.anyio
class TestSignals:
    async def test_receivers_of_both_kinds_share_the_transaction(self) -> None:
        seen: list[str] = []

        def sync_receiver(instance: Artist, **kwargs: Any) -> None:
            seen.append(f"sync: {Artist.objects.filter(pk=instance.pk).exists()}")

        async def async_receiver(instance: Artist, **kwargs: Any) -> None:
            exists = await Artist.objects.filter(pk=instance.pk).exists()
            seen.append(f"async: {exists}")

        signals.post_save.connect(sync_receiver, sender=Artist)
        signals.post_save.connect(async_receiver, sender=Artist)
        try:
            with pytest.raises(LookupError):
                async with transaction.atomic():
                    await Artist.objects.create(name="Nina")
                    raise LookupError
        finally:
            signals.post_save.disconnect(sync_receiver, sender=Artist)
            signals.post_save.disconnect(async_receiver, sender=Artist)
        assert seen == ["sync: True", "async: True"]
        assert await Artist.objects.count() == 0


@pytest.mark.anyio
class TestAsyncNames:
    async def test_work_without_a_thread(
        self, db: str, started_threads: list[str]
    ) -> None:
        artist = await Artist.objects.acreate(name="Nina")
        album = Album(title="Pastel", artist=artist)
        await album.asave()
        await album.tracks.acreate(title="Sinnerman")
        assert await Album.objects.aget(pk=album.pk) == album
        assert [t.title async for t in album.tracks.all()] == ["Sinnerman"]
        await album.arefresh_from_db()
        await album.adelete()
        assert not await Album.objects.aexists()
        # SQLite has a worker thread for each connection; nothing else starts one.
        assert [n for n in started_threads if not n.startswith("vinyl-default")] == []


@pytest.mark.anyio
async def test_sync_use_on_the_loop_outside_the_bridge_says_what_to_do() -> None:
    def sync_helper() -> None:
        with transaction.get_connection().cursor() as cursor:
            cursor.execute("SELECT 1")

    with pytest.raises(NotAwaitedError, match=r"vinyl\.orm\.run"):
        sync_helper()
    await run(sync_helper)


@pytest.mark.anyio
async def test_http404_is_raised_by_the_await() -> None:
    call = get_object_or_404(Album, pk=0)
    with pytest.raises(Http404):
        await call


@pytest.mark.anyio
async def test_awaiting_inside_the_bridge_keeps_to_one_connection() -> None:
    async def nested() -> int:
        return await Artist.objects.count()

    def sync() -> tuple[int, int]:
        with transaction.atomic():
            Artist.objects.create(name="Nina")
            return await_(nested()), Artist.objects.count()

    assert await run(sync) == (1, 1)


# The modules of other packages are patched when they are imported, if they are
# installed. The tests of these packages look at them.
REQUIRED = ("abc:", "asgiref.", "django.")


def test_the_table_names_only_what_exists() -> None:
    for patch in table.TABLE:
        if not patch.owner.startswith(REQUIRED):
            continue
        if patch.applies():
            patching.resolve(patch.owner)
        assert patch.applies() == (patch in patching._applied), patch


@pytest.mark.anyio
async def test_a_hook_that_is_only_marked_as_async_is_awaited() -> None:
    async def no() -> bool:
        return False

    @markcoroutinefunction
    def allowed() -> Any:
        return no()

    assert await run(mode.dual_if_async(allowed)) is False
