"""The querysets of related managers are like those that Django makes."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, union-attr"

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from django.db.utils import ConnectionDoesNotExist
from django.test.utils import isolate_apps, override_settings

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Track
from vinyl.orm import models, run
from vinyl.orm.plans.related_querysets import Copies, copies_of

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The instance of each queryset that has been copied, tries left out."""
    found: list[Any] = []
    make = Copies.make

    def noted(self: Any, instance: Any, key: Any) -> Any:
        found.append(instance)
        return make(self, instance, key)

    monkeypatch.setattr(Copies, "make", noted)
    return found


def made_by_django(instance: Any, name: str) -> Any:
    """The queryset that Django makes, of a manager of its own."""
    manager = getattr(instance, name)
    return type(manager).get_queryset.__wrapped__(manager)


def learned(album: Album) -> None:
    for _ in range(3):
        album.tracks.all()


@pytest.fixture
def album() -> Album:
    return catalogue()


def test_copies_have_the_attributes_of_djangos(album: Album, copies: list[Any]) -> None:
    learned(album)
    copies.clear()
    other = Album.objects.exclude(pk=album.pk)[0]
    for one in (album, other):
        found, expected = one.tracks.all(), made_by_django(one, "tracks")
        assert vars(found) == vars(expected)
        assert [*vars(found)] == [*vars(expected)]
        assert type(found) is type(expected)
        assert str(found.query) == str(expected.query)
    assert copies == [album, other]


def test_copies_share_nothing(album: Album) -> None:
    learned(album)
    one, another = album.tracks.all(), album.tracks.all()
    one._add_hints(more=1)
    one._known_related_objects.clear()
    assert another._hints == {"instance": album}
    field = Track._meta.get_field("album")
    assert another._known_related_objects == {field: {album.pk: album}}
    assert one.query is not another.query


def test_copies_have_their_own_rows(album: Album) -> None:
    for _ in range(4):
        for one in Album.objects.all():
            assert {track.album_id for track in one.tracks.all()} == {one.pk}
            assert one.tracks.filter(position=0).get().album is one
            assert one.tracks.exclude(position=0).order_by("-pk").count() == 1
            assert one.tracks.create(title="x").album is one
            assert one.tracks.filter(title="x").delete()[0] == 1


@pytest.mark.anyio
async def test_copies_on_the_event_loop() -> None:
    await run(catalogue)
    for _ in range(4):
        for one in await Album.objects.all():
            assert {track.album_id for track in await one.tracks.all()} == {one.pk}
            assert await one.tracks.filter(position=1).count() == 1


def test_no_copy_keeps_an_instance_alive(album: Album) -> None:
    # That of the fixture is kept by pytest.
    other = Album.objects.exclude(pk=album.pk)[0]
    learned(other)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None


class TestDjangoMakes:
    def test_those_of_an_instance_without_a_key(self, album: Album) -> None:
        learned(album)
        with pytest.raises(ValueError, match="needs to have a primary key value"):
            Album(artist=album.artist).tracks.all()

    def test_those_with_prefetched_objects(self, album: Album) -> None:
        learned(album)
        [found] = Album.objects.filter(pk=album.pk).prefetch_related("tracks")
        assert found.tracks.all() is found.tracks.all()
        assert found.tracks.all()._result_cache is not None
        found.tracks.create(title="New")
        assert found.tracks.all()._result_cache is None
        assert found.tracks.count() == 3

    def test_those_of_another_database(self, album: Album, copies: list[Any]) -> None:
        learned(album)
        copies.clear()
        assert album.tracks.db_manager("default").all()._db == "default"
        with pytest.raises(ConnectionDoesNotExist):
            album.tracks.db_manager("other").all()
        assert copies == []
        assert album.tracks.using("other")._db == "other"
        assert copies == [album]

    def test_those_whose_hints_or_filters_have_been_changed(
        self, album: Album, copies: list[Any]
    ) -> None:
        learned(album)
        copies.clear()
        manager = album.tracks
        manager._hints["more"] = 1
        assert manager.all()._hints == {"instance": album, "more": 1}
        manager = album.tracks
        manager.core_filters["position"] = 1
        assert manager.get().position == 1
        assert copies == []

    def test_those_of_a_router(self, album: Album, copies: list[Any]) -> None:
        learned(album)
        copies.clear()
        asked: list[Any] = []

        class Router:
            def db_for_read(self, model: Any, **hints: Any) -> None:
                asked.append(hints)

        with override_settings(DATABASE_ROUTERS=[Router()]):
            album.tracks.all()
        assert {"instance": album} in asked
        assert copies == []

    def test_those_without_plans(self, album: Album, copies: list[Any]) -> None:
        learned(album)
        with override_settings(VINYL={"PLANS": False}):
            copies.clear()
            found = album.tracks.all()
            assert [track.album_id for track in found] == [album.pk] * 2
        assert copies == []


def test_a_setting_that_changes_has_them_made_again(
    album: Album, copies: list[Any]
) -> None:
    learned(album)
    with override_settings(USE_TZ=False):
        copies.clear()
        assert album.tracks.count() == 2
        assert copies == []
        learned(album)
        assert album.tracks.count() == 2
        assert copies


def test_an_ordering_that_changes_has_them_made_again(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned(album)
    assert [track.position for track in album.tracks.all()] == [0, 1]
    monkeypatch.setattr(Track._meta, "ordering", ["-position"])
    for _ in range(4):
        assert [track.position for track in album.tracks.all()] == [1, 0]


@isolate_apps("tests.records")
def test_a_queryset_of_the_project_is_made_by_its_manager() -> None:
    class Loud(models.Manager[Any]):
        def get_queryset(self) -> Any:
            return super().get_queryset().filter(is_loud=True)

    class Band(models.Model):
        class Meta:
            app_label = "records"

    class Song(models.Model):
        band = models.ForeignKey(Band, models.CASCADE, related_name="songs")
        is_loud = models.BooleanField(default=False)
        objects = Loud()

        class Meta:
            app_label = "records"

    band = Band(pk=1)
    for _ in range(4):
        assert "is_loud" in str(band.songs.all().query)
    assert not hasattr(type(band.songs).get_queryset, "__wrapped__")


@isolate_apps("tests.records")
def test_a_relation_to_another_field_than_the_key() -> None:
    class Label(models.Model):
        code = models.CharField(max_length=5, unique=True)

        class Meta:
            app_label = "records"

    class Release(models.Model):
        label = models.ForeignKey(
            Label, models.CASCADE, to_field="code", related_name="releases"
        )

        class Meta:
            app_label = "records"

    for code in ("a", "b", "a", "b"):
        found = Label(pk=1, code=code).releases.all()
        assert found.query.sql_with_params()[1] == (code,)


def test_one_that_has_a_query_is_not_copied(album: Album) -> None:
    learned(album)
    manager = album.tracks
    queryset = manager.all()
    assert copies_of(queryset, album, album.pk, manager.field)
    queryset.query  # noqa: B018
    assert not copies_of(queryset, album, album.pk, manager.field)
