"""A queryset with a trail behaves like one with a query."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg"

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Count
from django.db.models.query import ModelIterable, QuerySet
from django.db.models.sql.compiler import (
    SQLCompiler,
    SQLDeleteCompiler,
    SQLInsertCompiler,
    SQLUpdateCompiler,
)

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Track
from vinyl.orm import run

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class TestQuerysets:
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

    def test_a_step_does_not_copy_attributes_of_others(self) -> None:
        for _ in range(3):
            albums: Any = Album.objects.filter(year=0)
            albums.note = "of this one"
            copy = albums.filter(title="0")
            assert not hasattr(copy, "note")
            assert copy._trail is not None
            assert {*vars(copy)} == {*vars(Album.objects.filter(year=0))}

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

    @pytest.mark.parametrize("name", ["_annotate", "_values"])
    def test_methods_that_steps_call_are_called_each_time(self, name: str) -> None:
        seen = []

        def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return getattr(QuerySet, name)(self, *args, **kwargs)

        own = type("Own", (QuerySet,), {name: noted})
        for _ in range(4):
            list(own(Album).annotate(number=Count("tracks")).values("number"))
        # values() calls _annotate() only for expressions.
        assert seen == [name] * 4

    @pytest.mark.parametrize(
        "take",
        [
            lambda albums: albums.order_by("year"),
            lambda albums: albums.filter(year__gte=0),
            lambda albums: albums.order_by("year")[:5],
        ],
        ids=["order_by", "filter", "slice"],
    )
    def test_an_iterable_of_one_queryset_is_none_of_others(self, take: Any) -> None:
        catalogue()

        class Titles(ModelIterable):
            def __iter__(self) -> Any:
                return (album.title for album in super().__iter__())

        for _ in range(4):
            titles: Any = Album.objects.all()
            titles._iterable_class = Titles
            assert sorted(take(titles)) == ["Album 0", "Album 1", "Album 2"]
            assert {type(one) for one in take(Album.objects.all())} == {Album}


class TestCompilersOfPackages:
    """Packages that record or cache queries replace methods of Django's compilers."""

    @pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
    async def test_each_query_goes_through_them(
        self, is_async: bool, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        album = await run(catalogue)
        seen: list[str] = []

        def replace(cls: Any, patches: pytest.MonkeyPatch) -> None:
            execute_sql = cls.execute_sql

            def recording(self: Any, *args: Any, **kwargs: Any) -> Any:
                seen.append(cls.__name__)
                return execute_sql(self, *args, **kwargs)

            patches.setattr(cls, "execute_sql", recording)

        async def call(method: Any, **kwargs: Any) -> Any:
            return await method(**kwargs) if is_async else await run(method, **kwargs)

        async def queries() -> None:
            track = await call(Track.objects.create, title="x", album=album, position=9)
            await call(Track.objects.filter(pk=track.pk).count)
            track.title = "y"
            await call(track.save)
            await call(track.delete)

        for _ in range(4):
            await queries()
        assert used
        compilers = [SQLInsertCompiler, SQLCompiler, SQLUpdateCompiler]
        for cls in [*compilers, SQLDeleteCompiler]:
            with monkeypatch.context() as patches:
                replace(cls, patches)
                used.clear()
                seen.clear()
                await queries()
                assert cls.__name__ in seen
                assert not used
        await queries()
        assert used
