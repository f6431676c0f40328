"""Shapes are forgotten when models change in what their queries and writes rest on."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import isolate_apps

from tests.orm.plans.planning import catalogue, queries_of
from tests.records.models import Album, Artist, Track
from vinyl.orm import models
from vinyl.orm.plans import shapes, trails

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class Loud:
    """A descriptor whose value is another one than the field keeps."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else vars(instance)["title"].upper()

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)["title"] = value


def without_plans(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        return make()


def sorted_queries() -> list[str]:
    related = Track.objects.order_by("album__artist")
    albums = Album.objects.filter(year__gt=0)
    return queries_of(lambda: [list(albums), list(related)])[1]


def plan_for(make: Callable[[], Any], used: list[str]) -> None:
    for _ in range(3):
        make()
    assert used


class TestOptions:
    @pytest.mark.parametrize("model", [Album, Artist])
    def test_another_ordering(
        self, model: Any, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()
        plan_for(sorted_queries, used)
        monkeypatch.setattr(model._meta, "ordering", ["-pk"])
        assert sorted_queries() == without_plans(sorted_queries, monkeypatch)

    @pytest.mark.parametrize("model", [Album, Artist])
    def test_an_ordering_that_changes_in_place(
        self, model: Any, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()
        monkeypatch.setattr(model._meta, "ordering", ["pk"])
        plan_for(sorted_queries, used)
        before = sorted_queries()
        model._meta.ordering[0] = "-pk"
        assert sorted_queries() == without_plans(sorted_queries, monkeypatch) != before
        model._meta.ordering.insert(0, "id")
        assert sorted_queries() == without_plans(sorted_queries, monkeypatch)

    def test_a_copy_of_an_ordering_is_a_list(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Album._meta, "ordering", ["-pk"])
        ordering: Any = Album._meta.ordering
        assert ordering == ["-pk"]
        for found in (
            copy.copy(ordering),
            copy.deepcopy(ordering),
            pickle.loads(pickle.dumps(ordering)),
        ):
            assert type(found) is list
            assert found == ["-pk"]

    @pytest.mark.parametrize("model", [Album, Artist])
    def test_another_table(
        self, model: Any, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()

        def make() -> int:
            return Album.objects.filter(artist__name="Nina Simone").count()

        plan_for(make, used)
        before = model._meta.db_table
        monkeypatch.setattr(model._meta, "db_table", "another")
        with pytest.raises(DatabaseError, match="another"), transaction.atomic():
            make()
        monkeypatch.setattr(model._meta, "db_table", before)
        assert make() == 3


class TestClasses:
    def test_a_descriptor_in_place_of_a_field(
        self, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        artist = Artist.objects.create(name="Nina Simone")

        def make() -> list[Any]:
            album = Album.objects.create(title="a", artist=artist)
            saved: list[Any] = [
                Album.objects.values_list("title", flat=True).get(pk=album.pk)
            ]
            album.title = "b"
            album.save()
            saved += Album.objects.filter(pk=album.pk).values_list("title", flat=True)
            loaded = Album.objects.get(pk=album.pk)
            saved.append(loaded.title)
            return saved

        plan_for(make, used)
        assert make() == ["a", "b", "b"]
        monkeypatch.setattr(Album, "title", Loud())
        assert make() == ["A", "B", "B"] == without_plans(make, monkeypatch)
        monkeypatch.undo()
        assert make() == ["a", "b", "b"]

    def test_methods_that_make_instances(
        self, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()

        def make() -> list[Any]:
            albums = list(Album.objects.filter(year=1))
            return [vars(one).get("is_loud") for one in albums]

        plan_for(make, used)

        def noted(self: Any, name: str, value: Any) -> None:
            object.__setattr__(self, name, value)
            vars(self)["is_loud"] = True

        monkeypatch.setattr(Album, "__setattr__", noted, raising=False)
        assert make() == [True] == without_plans(make, monkeypatch)
        monkeypatch.delattr(Album, "__setattr__")
        assert make() == [None]

    @isolate_apps("tests.records")
    def test_a_field_that_a_related_model_gets(self, used: list[str]) -> None:
        class Composer(models.Model):
            class Meta:
                app_label = "records"

        class Work(models.Model):
            composer = models.ForeignKey(Composer, on_delete=models.CASCADE)

            class Meta:
                app_label = "records"

        def make() -> Any:
            return vars(Work.objects.select_related("composer").get().composer)

        with connection.schema_editor() as editor:
            editor.create_model(Composer)
            editor.create_model(Work)
        try:
            Work.objects.create(composer=Composer.objects.create())
            plan_for(make, used)
            born: Any = models.IntegerField(default=4)
            born.contribute_to_class(Composer, "born")
            with connection.schema_editor() as editor:
                editor.add_field(Composer, born)
            assert make()["born"] == 4
        finally:
            with connection.schema_editor() as editor:
                editor.delete_model(Work)
                editor.delete_model(Composer)

    def test_what_code_caches_in_a_class_is_no_change(
        self, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()
        plan_for(lambda: list(Album.objects.filter(year=1)), used)
        monkeypatch.setattr(Album, "latest", Album.objects.get(year=1), raising=False)
        monkeypatch.setattr(Album, "known", {}, raising=False)
        monkeypatch.delattr(Album, "known")
        used.clear()
        assert list(Album.objects.filter(year=2))
        assert used

    @isolate_apps("tests.records")
    def test_a_model_that_is_created_is_no_change(self) -> None:
        node = shapes.root_of(Album)

        class Work(models.Model):
            title = models.TextField()

            class Meta:
                app_label = "records"
                ordering = ["title"]

            def shout(self) -> str:
                return self.title.upper()

        assert Work(title="a").shout() == "A"
        assert node.is_current()
