"""Instances that a plan loads are those that Django would make."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F
from django.db.models.signals import post_init
from django.test.utils import isolate_apps

from tests.orm.plans.planning import catalogue
from tests.orm.plans.scenarios.chains import fill
from tests.orm.plans.test_prefetches import compare
from tests.records.models import Album, Artist, Biography, Track
from vinyl.orm import models
from vinyl.orm.plans import trails

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class TestInstances:
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

    @pytest.mark.parametrize("name", ["from_db", "__init__"])
    def test_what_replaces_a_method_later_is_called(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()
        before = getattr(Album, name)

        def replaced(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            return before(*(args[1:] if name == "from_db" else args), **kwargs)

        made: list[str] = []

        def titles() -> list[str]:
            albums = Album.objects.order_by("year")
            tracks = Track.objects.select_related("album")
            return [one.title for one in (*albums, albums.get(year=1), tracks[0].album)]

        expected = [titles() for _ in range(4)][0]
        method: Any = classmethod(replaced) if name == "from_db" else replaced
        monkeypatch.setattr(Album, name, method)
        assert titles() == expected
        assert len(made) == len(expected)

    @pytest.mark.parametrize("name", ["from_db", "__init__"])
    @isolate_apps("tests.records")
    def test_what_a_mixin_gets_later_is_called(self, name: str) -> None:
        """Nobody hears of a change of a class that is not a model."""
        catalogue()

        class Mixin:
            pass

        class Mixed(Mixin, models.Model):
            title = models.CharField(max_length=200)

            class Meta:
                app_label = "records"
                db_table = "records_album"
                managed = False

            def __str__(self) -> str:
                return self.title

        def titles() -> list[str]:
            one = Mixed.objects.get(title="Album 1")
            return [one.title, *(each.title for each in Mixed.objects.order_by("pk"))]

        after: Any = super

        def shouting(cls: Any, *args: Any, **kwargs: Any) -> Any:
            found = after(Mixin, cls).from_db(*args, **kwargs)
            found.title = found.title.upper()
            return found

        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            after(Mixin, self).__init__(*args, **kwargs)
            self.title = self.title.upper()

        expected = [titles() for _ in range(4)][0]
        method: Any = classmethod(shouting) if name == "from_db" else init
        setattr(Mixin, name, method)
        assert titles() == [title.upper() for title in expected]

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

    @isolate_apps("tests.records")
    def test_attributes_are_set_as_django_sets_them(self, used: list[str]) -> None:
        """In the order of the fields, where descriptors set some of them."""
        catalogue()

        class Mixed(models.Model):
            title = models.CharField(max_length=200)
            artist = models.ForeignKey(Artist, models.DO_NOTHING, related_name="+")
            notes = models.FileField()
            year = models.IntegerField()

            class Meta:
                app_label = "records"
                db_table = "records_album"
                managed = False

            def __str__(self) -> str:
                return self.title

        def found() -> list[Any]:
            albums = Mixed.objects.annotate(
                **{"after": F("year"), "not-a-name": F("title"), "class": F("id")}
            )
            return [
                (*vars(one).items(), *vars(one._state).items())
                for one in albums.order_by("pk").defer("notes")
            ] + [[*vars(one)] for one in Mixed.objects.all()]

        def without_state(rows: list[Any]) -> list[Any]:
            return [[pair for pair in row if pair[0] != "_state"] for row in rows]

        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(trails, "_enabled", False)
            expected = without_state(found())
        for _ in range(4):
            used.clear()
            assert without_state(found()) == expected
        assert len(used) == 2

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


class TestKnownObjects:
    """The instance of a related manager is set on what it gives, as Django sets it."""

    def albums(self, artist: Any) -> Any:
        return artist.albums.using("default").order_by("year")

    def test_is_the_instance_itself(self, used: list[str]) -> None:
        artist = catalogue().artist
        for _ in range(4):
            assert all(album.artist is artist for album in self.albums(artist))
        assert used

    def test_whose_key_has_changed_is_set_as_without_plans(
        self, used: list[str]
    ) -> None:
        artist = catalogue().artist
        for _ in range(4):
            albums = self.albums(artist)
            artist.pk += 1
            found = [vars(album._state)["fields_cache"].copy() for album in albums]
            artist.pk -= 1
            with pytest.MonkeyPatch.context() as patches:
                patches.setattr(trails, "_enabled", False)
                albums = self.albums(artist)
                artist.pk += 1
                expected = [
                    vars(album._state)["fields_cache"].copy() for album in albums
                ]
                artist.pk -= 1
            assert found == expected

    def test_without_a_database_gets_one(self, used: list[str]) -> None:
        artist = catalogue().artist
        for _ in range(4):
            albums = self.albums(artist)
            artist._state.db = None
            assert all(album.artist is artist for album in albums)
            assert artist._state.db == "default"
        assert used

    def test_of_another_database_is_refused(self, used: list[str]) -> None:
        artist = catalogue().artist
        for _ in range(4):
            albums = self.albums(artist)
            artist._state.db = "other"
            with pytest.raises(ValueError, match="router prevents this relation"):
                list(albums)
            artist._state.db = "default"


@pytest.mark.parametrize(
    ("model", "name", "back"),
    [
        (Album, "artist", "albums"),
        (Album, "label", "albums"),
        (Biography, "artist", "biography"),
        (Artist, "biography", "artist"),
    ],
    ids=["forward", "of some", "one to one", "one to one, reverse"],
)
def test_selected_relations_are_cached_as_by_django(
    model: Any, name: str, back: str
) -> None:
    fill()

    def make() -> list[Any]:
        found = []
        for one in model.objects.select_related(name).order_by("pk"):
            related = one._state.fields_cache[name]
            cache = {} if related is None else related._state.fields_cache
            found.append((related, cache.get(back) is one, sorted(cache)))
        return found

    compare(make)
