"""Plans run on the event loop without the bridge, where no code of others runs."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc, var-annotated"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.db import DataError, OperationalError, ProgrammingError, connections
from django.db.models import QuerySet
from django.db.models.signals import post_init
from django.db.transaction import TransactionManagementError
from hypothesis import given, settings

from tests.cancelling import cancel_after
from tests.fix_db import only_postgresql
from tests.orm.plans.planning import catalogue
from tests.orm.plans.scenarios.chains import Chain, chains, fill
from tests.orm.plans.scenarios.outcomes import shown
from tests.records.models import Album, Artist, Biography
from vinyl.bridge.greenlets import in_bridge
from vinyl.orm import connection, fetch, run, transaction
from vinyl.orm.observe.events import QueryEvent, observe, set_observers
from vinyl.orm.plans import shapes, trails
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


async def warmed(make: Any) -> Any:
    """What *make* gives when its plan is known."""
    for _ in range(3):
        result = await make()
    return result


class TestMethods:
    async def test_that_read_run_directly(self, direct: list[str]) -> None:
        album = await run(catalogue)
        albums = Album.objects
        for make, expected in (
            (lambda: albums.get(pk=album.pk), album),
            (lambda: albums.filter(year=1).exists(), True),
            (lambda: albums.filter(year=9).exists(), False),
            (lambda: albums.filter(year__gt=0).count(), 2),
            (lambda: albums.order_by("year").first(), await albums.aget(year=0)),
            (lambda: albums.order_by("year").last(), album),
            (lambda: albums.filter(year=9).first(), None),
        ):
            await warmed(make)
            direct.clear()
            assert await make() == expected
            assert len(direct) == 1
        direct.clear()
        assert [each.year for each in await albums.order_by("year")] == [0, 1, 2]
        assert [each.year async for each in albums.order_by("year")] == [0, 1, 2]
        assert await albums.order_by("year") == await albums.all().order_by("year")
        assert len(direct) == 2

    async def test_run_where_a_queryset_says_that_they_do(
        self, direct: list[str]
    ) -> None:
        """A class of the project may choose another database than Django would."""

        class Chosen(QuerySet[Album]):
            @property
            def db(self) -> str:
                asked.append(self.model)
                return "default"

        await run(catalogue)
        asked: list[Any] = []
        albums = Chosen(Album)
        for make in (
            lambda: albums.get(year=1),
            lambda: albums.filter(year=1),
            lambda: albums.filter(year=1).count(),
            lambda: albums.filter(year=1).update(notes="x"),
        ):
            await warmed(make)
            asked.clear()
            await make()
            assert asked
        assert direct == []

    async def test_that_fetch_relations_run_directly(self, direct: list[str]) -> None:
        album = await run(catalogue)
        artist = album.artist
        biography = await Biography.objects.get()

        def known(album: Album) -> Album:
            return Album(pk=album.pk, artist_id=album.artist_id)

        async def pair() -> list[Artist]:
            return list(await asyncio.gather(known(album).artist, known(album).artist))

        for make, expected in (
            (lambda: known(album).artist, artist),
            (lambda: Artist(pk=artist.pk).biography, biography),
            (lambda: fetch(known(album), "artist"), artist),
            (pair, [artist, artist]),
        ):
            await warmed(make)
            direct.clear()
            found: Any = await make()
            assert len(direct) == 1
            assert found == expected
        assert found[0] is not found[1]
        read = await run(lambda: [known(album).artist, known(album).artist])
        assert await run(shown, found) == await run(shown, read)
        # From before to after what plans rest on has changed.
        shapes.forget()
        direct.clear()
        assert await known(album).artist == artist
        assert direct == []
        await warmed(lambda: known(album).artist)
        assert direct

    async def test_raise_what_django_raises(self, direct: list[str]) -> None:
        await run(catalogue)
        for _ in range(4):
            with pytest.raises(Album.DoesNotExist, match="Album matching query"):
                await Album.objects.get(year=9)
            with pytest.raises(Album.MultipleObjectsReturned, match="it returned 3!"):
                await Album.objects.get(year__lt=9)
            with pytest.raises(ValueError, match="expected a number but got 'x'"):
                await Album.objects.get(year="x")
        assert len(direct) >= 2

    @pytest.mark.parametrize("name", ["count", "exists", "first", "last"])
    async def test_without_parameters_refuse_arguments(self, name: str) -> None:
        await run(catalogue)
        albums = Album.objects.order_by("year")
        await warmed(lambda: getattr(albums.filter(year=1), name)())
        with pytest.raises(TypeError, match="argument"):
            await getattr(albums, name)(year=1)

    @only_postgresql
    async def test_of_the_driver_raise_its_error(self) -> None:
        # A text with a NUL is refused by the driver.
        for name in "a", "b", "c":
            assert not await Artist.objects.filter(name=name).exists()
        with pytest.raises((DataError, ValueError), match="NUL"):
            await Artist.objects.filter(name="\0").exists()
        assert not await Artist.objects.filter(name="d").exists()

    @pytest.mark.parametrize(
        ("lookups", "expected"), [((), 1), (("tracks",), 2)], ids=["rows", "prefetch"]
    )
    async def test_two_tasks_evaluate_a_queryset_once(
        self, lookups: tuple[str, ...], expected: int, direct: list[str]
    ) -> None:
        await run(catalogue)
        albums = Album.objects.order_by("year").prefetch_related(*lookups)
        await warmed(albums.all)
        direct.clear()

        async def evaluate() -> list[Album]:
            return await albums

        first, second = await asyncio.gather(evaluate(), evaluate())
        assert len(direct) == expected
        assert all(a is b for a, b in zip(first, second, strict=True))


class TestBlocks:
    async def test_see_what_they_have_written(self, direct: list[str]) -> None:
        await warmed(lambda: Artist.objects.filter(name="Nina").exists())
        direct.clear()
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            assert await Artist.objects.filter(name="Nina").exists()
            found = await asyncio.gather(
                *[Artist.objects.filter(name="Nina").exists() for _ in range(5)]
            )
            assert found == [True] * 5
            transaction.set_rollback(True)
        assert not await Artist.objects.filter(name="Nina").exists()
        assert len(direct) == 7

    async def test_that_begin_with_a_read_are_transactions(self) -> None:
        await warmed(lambda: Artist.objects.filter(name="Nina").exists())
        async with transaction.atomic():
            assert not await Artist.objects.filter(name="Nina").exists()
            await Artist.objects.create(name="Nina")
            transaction.set_rollback(True)
        assert not await Artist.objects.filter(name="Nina").exists()

    async def test_that_are_broken_refuse(self) -> None:
        await warmed(lambda: Artist.objects.filter(name="Nina").exists())
        with pytest.raises(TransactionManagementError):
            async with transaction.atomic():
                transaction.set_rollback(True)
                await Artist.objects.filter(name="Nina").exists()

    async def test_whose_connection_is_lost_say_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await warmed(lambda: Artist.objects.filter(name="Nina").exists())
        for has_plans in (True, False):
            monkeypatch.setattr(trails, "_enabled", has_plans)
            with pytest.raises((OperationalError, ProgrammingError), match="closed"):
                async with transaction.atomic():
                    await Artist.objects.filter(name="Nina").exists()
                    wrapper = connections["default"]
                    await run(wrapper.connection.close)
                    # As a sibling that has failed leaves it.
                    wrapper.needs_rollback = True
                    await Artist.objects.filter(name="Nina").exists()

    async def test_cancelled_leave_the_connection_clean(
        self, direct: list[str]
    ) -> None:
        await warmed(lambda: Artist.objects.filter(name="Nina").exists())
        pool = pool_for("default")
        for turn in range(60):
            await cancel_after(turn % 6, Artist.objects.filter(name="Nina").exists())
            assert not await Artist.objects.filter(name="Nina").exists()
        assert not pool.in_use


class TestTheBridgeIsUsed:
    async def test_where_a_receiver_runs(self, direct: list[str]) -> None:
        await run(catalogue)
        seen: list[bool] = []

        def receiver(**kwargs: Any) -> None:
            seen.append(in_bridge())

        await warmed(lambda: Artist.objects.get(name="Nina Simone"))
        direct.clear()
        post_init.connect(receiver, sender=Artist)
        try:
            await Artist.objects.get(name="Nina Simone")
        finally:
            post_init.disconnect(receiver, sender=Artist)
        assert seen == [True]
        assert not direct

    async def test_where_a_deferred_key_may_be_fetched(self, direct: list[str]) -> None:
        album = await run(catalogue)
        artist = await fetch(album, "artist")
        await warmed(lambda: artist.albums.order_by("pk"))
        direct.clear()
        assert len(await artist.albums.order_by("pk")) == 3
        assert len(direct) == 1
        # Django looks at the key of each, for the artist that the manager knows.
        for _ in range(4):
            albums = await artist.albums.defer("artist").order_by("pk")
            assert [each.title for each in albums] == ["Album 0", "Album 1", "Album 2"]
        assert len(direct) == 1

    async def test_for_a_method_of_a_project(self, direct: list[str]) -> None:
        class Noting(QuerySet[Any]):
            def get(self, *args: Any, **kwargs: Any) -> Any:
                return in_bridge(), super().get(*args, **kwargs)

        await run(catalogue)
        found = await warmed(lambda: Noting(Artist).get(name="Nina Simone"))
        assert found[0]

    async def test_where_a_router_decides(self, direct: list[str]) -> None:
        class Router:
            def db_for_read(self, model: Any, **hints: Any) -> str:
                asked.append(in_bridge())
                return "default"

        asked: list[bool] = []
        await warmed(lambda: Artist.objects.filter(name="Nina").exists())
        direct.clear()
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr("django.db.router.routers", [Router()])
            assert not await Artist.objects.filter(name="Nina").exists()
        assert asked
        assert all(asked)
        assert not direct

    async def test_where_a_block_observes(self, direct: list[str]) -> None:
        seen: list[str] = []

        class Noting:
            def begin(self, query: QueryEvent) -> None:
                pass

            def end(self, query: QueryEvent) -> None:
                seen.append(query.outcome)

        await warmed(lambda: Artist.objects.filter(name="Nina").exists())
        direct.clear()
        with observe(Noting()):
            await Artist.objects.filter(name="Nina").exists()
        async with connection.pinned():
            with connection.execute_wrapper(lambda execute, *args: execute(*args)):
                await Artist.objects.filter(name="Nina").exists()
        assert seen == ["done"]
        assert not direct


@pytest.fixture
async def events() -> AsyncIterator[list[QueryEvent]]:
    found: list[QueryEvent] = []

    class Noting:
        def begin(self, query: QueryEvent) -> None:
            found.append(query)

        def end(self, query: QueryEvent) -> None:
            pass

    set_observers(Noting())
    yield found
    set_observers()


async def test_observers_of_the_process_are_told(
    direct: list[str], events: list[QueryEvent]
) -> None:
    await warmed(lambda: Artist.objects.filter(name="Nina").exists())
    direct.clear()
    await Artist.objects.filter(name="Nina").exists()
    assert len(direct) == 1
    before, last = events[-2:]
    assert (last.sql, last.params) == (before.sql, before.params)
    assert last.outcome == "done"
    assert last.seconds > 0


async def taken(chain: Chain) -> Any:
    queryset: Any = chain.start().all()
    for method, args, kwargs in chain.steps:
        given = [arg() if callable(arg) else arg for arg in args]
        queryset = getattr(queryset, method)(*given, **kwargs)
    if chain.terminal in ("list", "touch"):
        return list(await queryset)
    return await getattr(queryset, chain.terminal)()


async def result_of(chain: Chain) -> Any:
    try:
        found = await taken(chain)
    except Exception as error:
        return type(error), str(error)
    return await run(shown, found)


async def compare(chain: Chain) -> None:
    await run(fill)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(trails, "_enabled", False)
        expected = await result_of(chain)
    shapes.forget()
    for occasion in ("seen", "learned", "planned", "planned again"):
        assert await result_of(chain) == expected, occasion


@settings(max_examples=60)
@given(chain=chains())
def test_on_the_loop_plans_give_what_django_gives(chain: Chain) -> None:
    asyncio.run(compare(chain))
