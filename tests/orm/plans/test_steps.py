"""Plans are used where Django would make the same query, and only there."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, comparison-overlap, misc, type-arg"
# mypy: disable-error-code="unreachable, var-annotated"

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from django.db import DatabaseError, connection
from django.db.models import CharField, Lookup, Q
from django.db.models.lookups import Exact
from django.db.models.query import QuerySet
from django.db.models.signals import post_init
from django.db.models.sql.compiler import SQLCompiler
from django.test import override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps, register_lookup

from tests.records.models import Album, Artist, Biography, Track
from vinyl.orm import fetch, models, prefetch_related_objects, run
from vinyl.orm.observe import recorder
from vinyl.orm.plans import shapes
from vinyl.orm.plans.learning import Plan

# Django 6.1 passes the fetch mode on to relations by a step that has no plan as yet.
HAS_FETCH_MODES = django.VERSION >= (6, 1)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes.forget()
    # A recording that another test has made keeps this on.
    monkeypatch.setattr(recorder, "observes_loads", False)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each use of a plan."""
    found: list[str] = []
    bound = Plan.bound

    def counted(self: Plan, *args: Any) -> Any:
        found.append(self.sql)
        return bound(self, *args)

    monkeypatch.setattr(Plan, "bound", counted)
    return found


def catalogue() -> Album:
    artist = Artist.objects.create(name="Nina Simone")
    Biography.objects.create(artist=artist, text="Born in Tryon.")
    for number in range(3):
        album = Album.objects.create(
            title=f"Album {number}", artist=artist, year=number
        )
        for position in range(2):
            Track.objects.create(title=f"{position}", album=album, position=position)
    return album


def queries_of(make: Callable[[], Any]) -> tuple[Any, list[str]]:
    with CaptureQueriesContext(connection) as queries:
        result = make()
    return result, [query["sql"] for query in queries]


def thrice(make: Callable[[], Any], used: list[str], *, planned: bool = True) -> Any:
    """The result of *make*, which has to be the same with a plan and without."""
    first = queries_of(make)
    assert queries_of(make) == first
    used.clear()
    assert queries_of(make) == first
    assert bool(used) == planned
    return first[0]


class TestQueries:
    def test_of_related_managers(self, used: list[str]) -> None:
        album = catalogue()

        def tracks() -> list[Track]:
            return list(album.tracks.all())

        found = thrice(tracks, used)
        assert [track.position for track in found] == [0, 1]
        # The manager's own object, without a query.
        with CaptureQueriesContext(connection) as queries:
            assert all(track.album is album for track in tracks())
        assert len(queries) == 1

    def test_of_relations(self, used: list[str]) -> None:
        album = catalogue()

        def artist() -> tuple[str, str]:
            found = Album.objects.get(pk=album.pk).artist
            return found.name, found.biography.text

        assert thrice(artist, used) == ("Nina Simone", "Born in Tryon.")
        assert len(used) == (1 if HAS_FETCH_MODES else 3)

    def test_of_prefetches(self, used: list[str]) -> None:
        catalogue()

        def titles() -> list[list[str]]:
            albums = Album.objects.prefetch_related("tracks").order_by("pk")
            return [[track.title for track in album.tracks.all()] for album in albums]

        assert thrice(titles, used) == [["0", "1"]] * 3
        assert len(used) == (1 if HAS_FETCH_MODES else 2)

    def test_with_selected_relations(self, used: list[str]) -> None:
        catalogue()

        def albums() -> list[tuple[Any, ...]]:
            found = Album.objects.select_related("artist__biography", "label")
            return [
                (album.artist.name, album.artist.biography.text, album.label)
                for album in found
            ]

        found = thrice(albums, used)
        assert found == [("Nina Simone", "Born in Tryon.", None)] * 3

    def test_of_many_to_many_relations(self, used: list[str]) -> None:
        album = catalogue()
        album.genres.create(name="Jazz")

        def genres() -> list[str]:
            return list(album.genres.values_list("name", flat=True))

        assert thrice(genres, used) == ["Jazz"]

    def test_of_refresh_from_db(self, used: list[str]) -> None:
        album = catalogue()

        def refreshed() -> str:
            album.title = "x"
            album.refresh_from_db()
            return album.title

        assert thrice(refreshed, used) == "Album 2"

    def test_of_get_or_create(self, used: list[str]) -> None:
        artist = catalogue().artist

        def found() -> tuple[Artist, bool]:
            return Artist.objects.get_or_create(name="Nina Simone")

        assert thrice(found, used) == (artist, False)

    def test_that_find_nothing_have_a_plan_as_well(self, used: list[str]) -> None:
        def miss() -> None:
            with pytest.raises(Artist.DoesNotExist, match="Artist matching query"):
                Artist.objects.get(name="nobody")

        thrice(miss, used)

    def test_with_instances_and_lists(self, used: list[str]) -> None:
        album = catalogue()
        artists = [album.artist]

        def number() -> int:
            return Album.objects.filter(
                Q(artist__in=artists) & ~Q(year__in={5, 6}), artist=album.artist
            ).count()

        assert thrice(number, used) == 3

    def test_on_the_other_names_of_a_database(self, used: list[str]) -> None:
        catalogue()
        assert len(thrice(lambda: list(Album.objects.using("default")), used)) == 3

    @pytest.mark.parametrize(
        "make",
        [
            lambda: list(Album.objects.extra(where=["1 = 1"])),
            lambda: list(Album.objects.annotate(n=models.Count("tracks"))),
            lambda: list(Album.objects.filter(year=models.F("artist_id"))),
            lambda: list(Album.objects.filter(released__year=1965)),
            lambda: list(Album.objects.order_by(models.F("year").desc())),
            lambda: list(Album.objects.filter(artist__in=Artist.objects.all())),
            lambda: list(Album.objects.exclude(tracks__title="0")),
            lambda: list(Album.objects.filter(year__in=[])),
            lambda: list(Album.objects.filter(year__gt=2**70)),
            lambda: Album.objects.aggregate(models.Max("year")),
        ],
    )
    def test_without_a_plan(self, make: Callable[[], Any], used: list[str]) -> None:
        catalogue()
        thrice(make, used, planned=False)


class TestOnTheLoop:
    async def test_tasks_use_one_plan(self, used: list[str]) -> None:
        album = await run(catalogue)
        for _ in range(2):
            await Album.objects.get(pk=album.pk)
        used.clear()
        found = await asyncio.gather(
            *[Album.objects.get(pk=album.pk) for _ in range(20)],
            *[Artist.objects.filter(name="Nina Simone").exists() for _ in range(20)],
        )
        assert found == [album] * 20 + [True] * 20
        assert len(used) >= 20

    async def test_lazy_relations(self, used: list[str]) -> None:
        album = await run(catalogue)
        for _ in range(3):
            used.clear()
            fresh = await Album.objects.get(pk=album.pk)
            assert (await fresh.artist).name == "Nina Simone"
            await fetch(fresh, "label")
            await prefetch_related_objects([fresh], "tracks")
            assert len(fresh.tracks.all()) == 2
        assert len(used) == (1 if HAS_FETCH_MODES else 3)

    async def test_a_cancelled_query_is_planned_later(self, used: list[str]) -> None:
        album = await run(catalogue)

        async def get() -> Any:
            return await Album.objects.get(pk=album.pk)

        await get()
        for _ in range(3):
            task = asyncio.ensure_future(get())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await get()
        used.clear()
        assert await get() == album
        assert used

    async def test_threads_share_plans(self, used: list[str]) -> None:
        await run(catalogue)
        found: list[int] = []

        def read() -> None:
            found.extend(len(Album.objects.filter(year__lt=2)) for _ in range(20))
            connection.close()

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert found == [2] * 80
        assert used


class TestQuerysets:
    """A queryset with a trail behaves like one with a query."""

    @pytest.fixture
    def known(self) -> Callable[[], Any]:
        """Makes a queryset that has no query as yet."""
        catalogue()

        def make() -> Any:
            return Album.objects.filter(year__gte=1).order_by("-year")

        for _ in range(2):
            list(make())
        assert "_Pending" in repr(vars(make())["_query"])
        return make

    def test_its_query(self, known: Callable[[], Any]) -> None:
        assert str(known().query).endswith("DESC")

    def test_a_changed_query_counts(
        self, known: Callable[[], Any], used: list[str]
    ) -> None:
        queryset = known()
        queryset.query.clear_ordering(force=True)
        queryset.query.add_ordering("year")
        assert [album.year for album in queryset] == [1, 2]
        other = known()
        other.query = Album.objects.filter(year=0).query
        assert [album.year for album in other] == [0]
        assert used == []

    def test_it_can_be_copied_and_combined(self, known: Callable[[], Any]) -> None:
        for one in (
            pickle.loads(pickle.dumps(known())),
            copy.deepcopy(known()),
            copy.copy(known()),
            known() | known(),
            Album.objects.filter(pk__in=known()).order_by("-year"),
            known().annotate(n=models.Count("tracks")),
            known().select_for_update() if connection.vendor == "x" else known(),
            known().iterator(),
        ):
            assert [album.year for album in one] == [2, 1]

    def test_it_can_be_written_to(self, known: Callable[[], Any]) -> None:
        assert known().update(notes="x") == 2
        assert known().delete()[0] == 6

    def test_values_are_those_of_the_moment(self, used: list[str]) -> None:
        album = catalogue()
        years = [0, 1]
        for _ in range(3):
            of_album = Track.objects.filter(album=album)
            of_years = Album.objects.filter(year__in=years)
            key, album.pk = album.pk, None
            years.append(2)
            assert len(of_album) == 2
            assert len(of_years) == 2
            assert len(of_album.filter(position=0)) == 1
            album.pk = key
            years.pop()

    def test_values_of_managers_are_those_of_the_query(self, used: list[str]) -> None:
        first, second = catalogue(), Album.objects.get(year=0)
        Track.objects.create(title="2", album=second, position=2)
        for _ in range(4):
            manager = Album(pk=first.pk).tracks
            tracks = manager.all()
            early = tracks.filter(position__gte=0)
            deferred = manager._apply_rel_filters(Track.objects.all())
            manager.instance.pk = second.pk
            assert len(deferred) == 3
            assert len(tracks) == 2
            assert len(early) == 2

    def test_errors_come_where_django_raises_them(self) -> None:
        catalogue()
        for _ in range(3):
            list(Album.objects.filter(released="1965-10-01"))
        with pytest.raises(Exception, match="YYYY-MM-DD"):
            Album.objects.filter(released="nonsense")
        for _ in range(3):
            with pytest.raises(TypeError, match="Cannot filter a query once a slice"):
                Album.objects.all()[:1].filter(year=1)

    def test_a_class_with_a_query_of_its_own_has_no_trail(self) -> None:
        class Own(QuerySet):
            def _clone(self) -> Any:
                return super()._clone()

        class Refusing(QuerySet):
            def __getitem__(self, k: Any) -> Any:
                raise IndexError(k)

        assert "_trail" not in vars(Own(Album))
        for _ in range(3):
            with pytest.raises(IndexError):
                Refusing(Album).first()


def compilers() -> int:
    """How many of Django's compilers, which hold a connection, are alive."""
    return sum(isinstance(found, SQLCompiler) for found in gc.get_objects())


class TestLearning:
    def test_a_plan_keeps_no_connection_and_does_not_grow(self) -> None:
        artist = catalogue().artist
        gc.collect()
        before = compilers()
        for _ in range(20):
            assert len(Album.objects.filter(artist=artist)) == 3
        gc.collect()
        assert compilers() == before

    def test_lookups_of_others_have_no_plan(self, used: list[str]) -> None:
        catalogue()

        class Shouting(Exact):
            def as_sql(self, compiler: Any, connection: Any) -> Any:
                sql, params = super().as_sql(compiler, connection)
                return sql, [str(param).title() for param in params]

        with register_lookup(CharField, Shouting, lookup_name="shouting"):

            def count() -> int:
                return Artist.objects.filter(name__shouting="nina simone").count()

            assert thrice(count, used, planned=False) == 1

    async def test_wrappers_of_the_project_see_each_query_once(self) -> None:
        await run(catalogue)
        seen: list[str] = []

        def wrapper(execute: Any, sql: str, *args: Any) -> Any:
            seen.append(sql)
            return execute(sql, *args)

        with connection.execute_wrapper(wrapper):
            for _ in range(4):
                queries: list[Any] = [Artist.objects.filter(pk=1) for _ in range(5)]
                queries += [Album.objects.filter(year=1).exists() for _ in range(5)]
                await asyncio.gather(*queries)
        assert len(seen) == 40


class TestForgetting:
    def plan_for(self, make: Callable[[], Any], used: list[str]) -> None:
        for _ in range(3):
            make()
        assert used
        used.clear()

    def test_after_a_change_of_settings(self, used: list[str]) -> None:
        def make() -> Any:
            return list(Album.objects.filter(year=1))

        self.plan_for(make, used)
        with override_settings(TIME_ZONE="Asia/Tokyo"):
            make()
            assert used == []

    def test_after_a_lookup_was_registered(self, used: list[str]) -> None:
        catalogue()

        def make() -> int:
            return Artist.objects.filter(name__exact="Nina Simone").count()

        self.plan_for(make, used)

        class Never(Lookup):
            lookup_name = "exact"

            def as_sql(self, compiler: Any, connection: Any) -> Any:
                return "1 = 0", []

        with register_lookup(CharField, Never):
            assert make() == 0
        assert make() == 1

    def test_after_a_change_of_the_ordering(self, used: list[str]) -> None:
        catalogue()

        def make() -> list[int]:
            return [album.year for album in Album.objects.all()]

        self.plan_for(make, used)
        meta: Any = Album._meta
        before = meta.ordering
        try:
            meta.ordering = ["-year"]
            assert make() == [2, 1, 0]
        finally:
            meta.ordering = before

    def test_with_plans_turned_off(self, used: list[str]) -> None:
        catalogue()
        with override_settings(VINYL={"PLANS": False}):
            for _ in range(4):
                assert len(Album.objects.filter(year=1)) == 1
        assert used == []

    def test_an_error_of_the_database_leaves_no_trace(self, used: list[str]) -> None:
        def make() -> Any:
            return list(Album.objects.filter(year=1))

        make()

        def fail(*args: Any) -> Any:
            raise DatabaseError("gone")

        with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
            make()
        make()
        used.clear()
        make()
        assert used

    def test_there_is_an_end_to_the_shapes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shapes, "MAX_CHILDREN", 5)
        for number in range(10):
            for _ in range(2):
                list(Album.objects.all()[number : number + 1])
        assert len(shapes.root_of(Album)._children) == 5


class TestInstances:
    @pytest.fixture
    def received(self) -> Iterator[list[Any]]:
        found: list[Any] = []

        def receive(instance: Any, **kwargs: Any) -> None:
            found.append(instance)

        yield found
        post_init.disconnect(receive, sender=Album)

    def test_receivers_are_called(self, used: list[str]) -> None:
        catalogue()
        found: list[Any] = []

        def receive(instance: Any, **kwargs: Any) -> None:
            found.append(instance.title)

        for _ in range(3):
            Album.objects.get(year=1)
        post_init.connect(receive, sender=Album)
        try:
            Album.objects.get(year=1)
        finally:
            post_init.disconnect(receive, sender=Album)
        assert found == ["Album 1"]

    @isolate_apps("tests.records")
    def test_a_models_own_from_db_is_called(self, used: list[str]) -> None:
        catalogue()

        class Shouting(models.Model):
            title = models.CharField(max_length=200)

            class Meta:
                app_label = "records"
                db_table = "records_album"
                managed = False

            def __str__(self) -> str:
                return self.title

            @classmethod
            def from_db(cls, *args: Any, **kwargs: Any) -> Any:
                made = super().from_db(*args, **kwargs)
                made.title = made.title.upper()
                return made

        for _ in range(4):
            assert Shouting.objects.get(title="Album 1").title == "ALBUM 1"

    def test_deferred_fields_are_deferred(self, used: list[str]) -> None:
        catalogue()
        for _ in range(4):
            album = Album.objects.only("title").get(year=1)
            assert album.get_deferred_fields() == {
                "year",
                "notes",
                "released",
                "artist_id",
                "label_id",
            }
            assert album.year == 1
        assert used


@pytest.mark.skipif(django.VERSION < (6, 1), reason="deprecated in Django 6.1")
@pytest.mark.parametrize(
    "deprecated",
    [
        lambda albums: albums.select_related(),
        lambda albums: albums.values_list(flat=True),
    ],
)
def test_a_deprecated_call_warns_each_time(deprecated: Callable[[Any], Any]) -> None:
    for _ in range(3):
        with pytest.warns(PendingDeprecationWarning, match="deprecated"):
            deprecated(Album.objects.all())
