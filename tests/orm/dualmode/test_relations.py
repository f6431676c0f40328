"""Relations awaited on the event loop: what Django gives, and one query for many."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import django
import pytest
from django.db import OperationalError, models
from django.db.models.signals import post_init
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext, isolate_apps

from tests.fix_db import only_postgresql
from tests.fix_kills import Killer
from tests.records.models import Album, Artist, Biography, Tag
from vinyl.bridge.greenlets import in_bridge
from vinyl.orm import connection, run, transaction
from vinyl.orm.dualmode import batches
from vinyl.orm.observe.lookup_paths import path_of
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.recording import recording

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

NAMES = "Abbey", "Nina", "Odetta"


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    yield
    assert batches._open == {}


def make_albums() -> list[Album]:
    """One album of each artist, and a second one of the last."""
    for name in NAMES:
        artist = Artist.objects.create(name=name)
        Album.objects.create(title=f"By {name}", artist=artist)
    Album.objects.create(title="Last", artist=artist)
    return list(Album.objects.order_by("title"))


async def artists_of(albums: Iterable[Album]) -> list[Any]:
    return await asyncio.gather(
        *[album.artist for album in albums], return_exceptions=True
    )


def names_of(artists: Iterable[Artist]) -> list[str]:
    return [artist.name for artist in artists]


class TestAwaitedTogether:
    async def test_take_one_query(self, queries: list[str]) -> None:
        for _ in range(4):
            albums = await run(make_albums)
            queries.clear()
            artists = await artists_of(albums)
            assert names_of(artists) == [*NAMES, "Odetta"]
            assert len(queries) == 1
            assert [album.artist for album in albums] == artists
            await Artist.objects.all().delete()

    async def test_have_objects_of_their_own(self) -> None:
        albums = await run(make_albums)
        artists = await artists_of(albums)
        third, fourth = artists[2:]
        assert third == fourth
        assert third is not fourth
        assert third._state is not fourth._state
        assert third._state.fields_cache is not fourth._state.fields_cache
        assert vars(third).keys() == vars(fourth).keys()
        fourth.name = "Changed"
        await fourth.save()
        assert third.name == "Odetta"

    async def test_in_tasks_of_a_group(self, queries: list[str]) -> None:
        albums = await run(make_albums)
        queries.clear()

        async def name_and_label(album: Album) -> tuple[str, Any]:
            return (await album.artist).name, await album.label

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(name_and_label(album)) for album in albums]
        assert [task.result()[0] for task in tasks] == [*NAMES, "Odetta"]
        assert len(queries) == 1

    async def test_in_a_transaction(self, queries: list[str]) -> None:
        albums = await run(make_albums)
        async with transaction.atomic():
            await Artist.objects.filter(name="Nina").update(name="Simone")
            queries.clear()
            artists = await artists_of(albums)
            assert names_of(artists) == ["Abbey", "Simone", "Odetta", "Odetta"]
            assert len(queries) == 1
            transaction.set_rollback(True)

    @only_postgresql
    async def test_in_two_transactions_stay_apart(self) -> None:
        albums = await run(make_albums)
        both = asyncio.Barrier(2)

        async def renamed(album: Album, name: str) -> Artist:
            async with transaction.atomic():
                await Artist.objects.filter(pk=album.artist_id).update(name=name)
                await both.wait()
                return await album.artist

        found = await asyncio.gather(
            *[renamed(album, f"New {n}") for n, album in enumerate(albums[:2])]
        )
        assert names_of(found) == ["New 0", "New 1"]

    async def test_by_more_tasks_than_one_query_takes(
        self, queries: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batches, "MAX_SIZE", 3)
        albums = await run(make_albums)
        queries.clear()
        assert names_of(await artists_of(albums)) == [*NAMES, "Odetta"]
        assert len(queries) == 2

    async def test_from_both_sides_of_a_one_to_one(self, queries: list[str]) -> None:
        await run(make_albums)
        nina = await Artist.objects.get(name="Nina")
        odetta = await Artist.objects.get(name="Odetta")
        for artist in (nina, odetta):
            await Biography.objects.create(artist=artist, text=f"Of {artist.name}")
        artists = await Artist.objects.order_by("name")
        queries.clear()
        found: list[Any] = await asyncio.gather(
            *[artist.biography for artist in artists], return_exceptions=True
        )
        assert len(queries) == 1
        assert type(found[0]) is Artist.biography.RelatedObjectDoesNotExist
        assert str(found[0]) == "Artist has no biography."
        assert [one.text for one in found[1:]] == ["Of Nina", "Of Odetta"]
        assert found[1].artist is artists[1]
        # It is known by now.
        with pytest.raises(Artist.biography.RelatedObjectDoesNotExist):
            artists[0].biography  # noqa: B018
        biographies = await Biography.objects.order_by("text")
        queries.clear()
        assert await asyncio.gather(*[one.artist for one in biographies]) == [
            nina,
            odetta,
        ]
        assert len(queries) == 1
        assert biographies[0].artist.biography is biographies[0]

    @isolate_apps("tests.records")
    async def test_by_keys_that_the_database_returns_as_another_type(self) -> None:
        class Singer(models.Model):
            name = models.CharField(max_length=100, primary_key=True)

            class Meta:
                app_label = "records"
                db_table = Artist._meta.db_table

            def __str__(self) -> str:
                return self.name

        class Work(models.Model):
            by = models.ForeignKey(Singer, models.CASCADE)

            class Meta:
                app_label = "records"

            def __str__(self) -> str:
                return f"By {self.by_id}"

        for number in (1, 2):
            await Artist.objects.create(name=f"{number}")
        works = [Work(by_id=1), Work(by_id="2"), Work(by_id=2)]
        found = await asyncio.gather(*[work.by for work in works])
        assert names_of(found) == ["1", "2", "2"]
        assert found[1] is not found[2]

    async def test_without_a_key_take_none(self, queries: list[str]) -> None:
        albums = await run(make_albums)
        queries.clear()
        assert await asyncio.gather(*[one.label for one in albums]) == [None] * 4
        assert queries == []

    async def test_by_one_whose_row_is_missing(self, queries: list[str]) -> None:
        albums = await run(make_albums)
        albums[1].artist_id = 0
        queries.clear()
        found = await artists_of(albums)
        assert len(queries) == 1
        assert type(found[1]) is Artist.DoesNotExist
        with pytest.raises(Artist.DoesNotExist) as alone:
            await albums[1].artist
        assert str(found[1]) == str(alone.value)
        assert names_of([found[0], *found[2:]]) == ["Abbey", "Odetta", "Odetta"]

    async def test_with_a_key_that_the_field_refuses(self) -> None:
        albums = await run(make_albums)
        albums[0].artist_id = "x"
        albums[1].artist_id = 2**70
        found = await artists_of(albums)
        assert type(found[0]) is ValueError
        assert type(found[1]) is Artist.DoesNotExist
        assert names_of(found[2:]) == ["Odetta", "Odetta"]

    async def test_are_in_the_log_once(self) -> None:
        albums = await run(make_albums)
        with CaptureQueriesContext(connection) as log:
            await artists_of(albums)
        assert len(log) == 1
        assert " IN (" in log[0]["sql"]

    async def test_are_one_lazy_load_of_a_recording(self) -> None:
        albums = await run(make_albums)
        with recording(full=True) as record:
            artists = await artists_of(albums)
        assert record.count == 1
        (load,) = record.notes["loads"]
        assert load.name == "Album.artist"
        assert load.path.names == ("artist",)
        assert load.callsite.frame.file == __file__
        assert {path_of(artist) for artist in artists} == {load.path}

    async def test_under_two_recordings_are_counted_in_each(self) -> None:
        albums = await run(make_albums)

        async def count(album: Album) -> int:
            with recording() as record:
                await album.artist
            return record.count

        assert await asyncio.gather(*[count(album) for album in albums]) == [1] * 4

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="6.1 has fetch modes")
    async def test_that_may_not_be_fetched_are_not(self, queries: list[str]) -> None:
        await run(make_albums)
        albums = await Album.objects.fetch_mode(models.FETCH_RAISE)
        queries.clear()
        found = await artists_of(albums)
        assert [type(one).__name__ for one in found] == ["FieldFetchBlocked"] * 4
        assert queries == []


async def test_alone_takes_djangos_query(queries: list[str]) -> None:
    albums = await run(make_albums)
    queries.clear()
    for album in albums:
        await album.artist
    on_loop, queries[:] = list(queries), []
    albums = await Album.objects.order_by("title")
    queries.clear()
    await run(lambda: [album.artist for album in albums])
    assert queries == on_loop


@isolate_apps("tests.records")
async def test_of_an_unsaved_object_are_none(queries: list[str]) -> None:
    """Even if a row refers to what would be its key."""

    class Sitter(models.Model):  # noqa: DJ008
        code = models.CharField(max_length=1, unique=True)

        class Meta:
            app_label = "records"

    class Portrait(models.Model):  # noqa: DJ008
        person = models.OneToOneField(Sitter, models.CASCADE, to_field="code")

        class Meta:
            app_label = "records"

    def create() -> None:
        with connection.schema_editor() as editor:
            editor.create_model(Sitter)
            editor.create_model(Portrait)
        Portrait.objects.create(person=Sitter.objects.create(code="a"))

    await run(create)
    for _ in range(4):
        portrait = await (await Sitter.objects.get()).portrait
        assert portrait.person_id == "a"
        queries.clear()
        with pytest.raises(Portrait.DoesNotExist, match="Sitter has no portrait"):
            await Sitter(code="a").portrait
        assert queries == []


class TestTheBridgeIsUsed:
    """Code of a project may wait for something, or asks for one object at a time."""

    @pytest.fixture
    def seen(self) -> list[bool]:
        return []

    async def check(self, seen: list[bool], queries: list[str]) -> None:
        albums = await run(make_albums)
        queries.clear()
        seen.clear()
        assert names_of(await artists_of(albums)) == [*NAMES, "Odetta"]
        assert len(queries) == 4
        assert seen
        assert all(seen)

    async def test_for_a_router(
        self,
        seen: list[bool],
        queries: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        class Router:
            def db_for_read(self, model: Any, **hints: Any) -> None:
                seen.append(in_bridge())

        monkeypatch.setattr("django.db.router.routers", [Router()])
        await self.check(seen, queries)

    async def test_for_a_receiver(self, seen: list[bool], queries: list[str]) -> None:
        def receiver(**kwargs: Any) -> None:
            seen.append(in_bridge())

        post_init.connect(receiver, sender=Artist)
        try:
            await self.check(seen, queries)
        finally:
            post_init.disconnect(receiver, sender=Artist)

    async def test_for_a_base_manager(
        self,
        seen: list[bool],
        queries: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        class Manager(models.Manager):
            def get_queryset(self) -> Any:
                seen.append(in_bridge())
                return super().get_queryset()

        manager = Manager()
        manager.model = Artist
        monkeypatch.setitem(vars(Artist._meta), "base_manager", manager)
        vars(Album.artist).pop("vinyl_relation", None)
        try:
            await self.check(seen, queries)
        finally:
            del Album.artist.vinyl_relation

    async def test_for_a_generic_relation(self) -> None:
        albums = await run(make_albums)
        for album in albums:
            await Tag.objects.create(word="w", target=album)
        tags = await Tag.objects.order_by("pk")
        assert await asyncio.gather(*[tag.target for tag in tags]) == albums


class TestCancelled:
    """While the query waits for a lock."""

    pytestmark = only_postgresql

    async def waiting(self, killer: Killer, albums: list[Album]) -> list[asyncio.Task]:
        async def artist_of(album: Album) -> Artist:
            return await album.artist

        tasks = [asyncio.create_task(artist_of(album)) for album in albums]
        await killer.waiting()
        return tasks

    @pytest.mark.parametrize("who", [0, 1, 3])
    @pytest.mark.parametrize("in_block", [False, True], ids=["alone", "atomic"])
    async def test_one_task_leaves_the_results_of_the_others(
        self, killer: Killer, who: int, in_block: bool
    ) -> None:
        albums = await run(make_albums)

        async def work() -> None:
            async with killer.locked():
                tasks = await self.waiting(killer, albums)
                tasks[who].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await tasks[who]
            del tasks[who]
            expected = [*NAMES, "Odetta"]
            del expected[who]
            assert names_of(await asyncio.gather(*tasks)) == expected
            assert repr(albums[who].artist) == "<NotFetched Album.artist>"
            assert (await albums[who].artist).name

        if in_block:
            async with transaction.atomic():
                await work()
        else:
            await work()
        assert not pool_for("default").in_use

    async def test_all_tasks_cancel_the_query(self, killer: Killer) -> None:
        albums = await run(make_albums)
        async with killer.locked():
            tasks = await self.waiting(killer, albums)
            for task in tasks:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in found] == [asyncio.CancelledError] * 4
            # Its session is idle again, though the lock is still there.
            assert not pool_for("default").in_use
            assert pool_for("default").stats()["idle"] >= 1
        assert names_of(await artists_of(albums)) == [*NAMES, "Odetta"]

    async def test_all_tasks_of_a_block_lose_the_transaction(
        self, killer: Killer
    ) -> None:
        albums = await run(make_albums)
        with pytest.raises(TransactionManagementError, match="current transaction"):
            async with transaction.atomic():
                async with killer.locked():
                    tasks = await self.waiting(killer, albums)
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                await Artist.objects.acount()


@pytest.mark.parametrize("turns", range(8))
async def test_cancelled_at_any_turn(turns: int) -> None:
    albums = await run(make_albums)

    async def artist_of(album: Album) -> Artist:
        return await album.artist

    for who in range(4):
        albums = await Album.objects.order_by("title")
        tasks = [asyncio.create_task(artist_of(album)) for album in albums]
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[who].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[who]
        del tasks[who]
        expected = [*NAMES, "Odetta"]
        del expected[who]
        assert names_of(await asyncio.gather(*tasks)) == expected
    assert not pool_for("default").in_use


@only_postgresql
class TestKilled:
    async def test_one_time_the_rows_are_read_again(self, killer: Killer) -> None:
        albums = await run(make_albums)
        async with killer.killing():
            artists = await artists_of(albums)
        assert names_of(artists) == [*NAMES, "Odetta"]
        assert killer.kills == 1

    async def test_in_a_block_each_gets_an_error_of_its_own(
        self, killer: Killer
    ) -> None:
        albums = await run(make_albums)
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                async with killer.killing():
                    found = await artists_of(albums)
                assert [type(one) for one in found] == [OperationalError] * 4
                assert len(set(map(str, found))) == 1
                assert len(set(map(id, found))) == 4
                assert len({type(one.__cause__) for one in found}) == 1
                assert found[0].__cause__ is not None
                await Artist.objects.acount()
