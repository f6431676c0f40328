"""A queryset with a trail behaves like one with a query."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg"

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.query import QuerySet

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Track
from vinyl.orm import models

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class TestQuerysets:
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
