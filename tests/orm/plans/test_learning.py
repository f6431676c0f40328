"""What is learned of a query: nothing that grows, and nothing of lookups of others."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg"

from __future__ import annotations

import asyncio
import datetime
import gc
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import BinaryField, CharField, Count, F, JSONField
from django.db.models.expressions import Col
from django.db.models.functions import Cast
from django.db.models.lookups import Exact
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.where import WhereNode
from django.test.utils import isolate_apps, register_lookup

from tests.fix_db import only_postgresql, only_sqlite
from tests.fix_kills import Killer
from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist, Genre, Track
from vinyl.orm import models, run
from vinyl.orm.plans import learning, shapes, trails

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
]


def compilers() -> int:
    """How many of Django's compilers, which hold a connection, are alive."""
    return sum(isinstance(found, SQLCompiler) for found in gc.get_objects())


class TestLearning:
    def test_making_a_plan_leaves_no_cycles(self, used: list[str]) -> None:
        catalogue()
        gc.collect()
        gc.disable()
        try:
            before = compilers()
            for _ in range(3):
                assert Album.objects.select_related("artist").filter(year=1).get()
            assert compilers() == before
        finally:
            gc.enable()
        assert used

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

    def test_a_lookup_that_changes_itself_makes_the_same_sql(
        self, used: list[str]
    ) -> None:
        """As Django's do that compare a range of dates with a date."""
        catalogue()

        class Twice(Exact):
            is_prepared = False

            def process_rhs(self, compiler: Any, connection: Any) -> Any:
                self.is_prepared = True
                return super().process_rhs(compiler, connection)

            def as_sql(self, compiler: Any, connection: Any) -> Any:
                sql, params = super().as_sql(compiler, connection)
                return f"{sql} AND 1 = 1" if self.is_prepared else sql, params

        with register_lookup(CharField, Twice, lookup_name="twice"):

            def count() -> int:
                return Artist.objects.filter(name__twice="Nina Simone").count()

            assert thrice(count, used, planned=False) == 1

    @isolate_apps("tests.records")
    def test_relations_whose_join_may_change_have_no_plan(
        self, used: list[str]
    ) -> None:
        catalogue()
        names: list[str] = []

        class Named(models.ForeignObject):
            def get_extra_restriction(self, alias: Any, related_alias: Any) -> Any:
                if not names:
                    return None
                name: Any = Artist._meta.get_field("name")
                same: Any = Exact(Col(alias, name), names[0])
                return WhereNode([same])

        class Credit(models.Model):
            artist_id = models.BigIntegerField()
            artist = Named(
                Artist,
                on_delete=models.CASCADE,
                from_fields=["artist_id"],
                to_fields=["id"],
                related_name="+",
            )

            class Meta:
                app_label = "records"
                db_table = Album._meta.db_table

        def count() -> int:
            return Credit.objects.filter(artist__name__gte="").count()

        assert thrice(count, used, planned=False) == 3
        names.append("another")
        assert count() == 0

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

    @only_postgresql
    async def test_a_lost_connection_does_not_prevent_it(
        self, killer: Killer, used: list[str]
    ) -> None:
        """The query that Django runs to make the plan is run again, too."""
        await Artist.objects.create(name="Nina")

        async def get() -> Artist:
            return await Artist.objects.exclude(name__endswith="x").get(name="Nina")

        await get()
        async with killer.killing():
            await get()
        used.clear()
        await get()
        assert len(used) == 1


def refuse_copies(self: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    assert type(value) is str
    return value


class TestFailures:
    """Errors while a plan is made: what is not the query's own goes to the log."""

    @pytest.fixture
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any) -> Any:
            raise RuntimeError("A bug in vinyl.")

        monkeypatch.setattr(learning, "loader_of", fail)

    @pytest.mark.usefixtures("broken")
    def test_an_unexpected_one_is_logged_with_the_shape(
        self, used: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        catalogue()

        def albums() -> list[Album]:
            return list(
                Album.objects.filter(year__in=[1, 2]).exclude(title="secret")[:5]
            )

        assert len(thrice(albums, used, planned=False)) == 2
        [record] = caplog.records
        assert record.name == "vinyl.orm"
        assert record.levelname == "WARNING"
        text = record.getMessage()
        assert "`Album.filter(year__in=?).exclude(title=?).__getitem__(" in text
        assert "secret" not in text
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], RuntimeError)

    @pytest.mark.usefixtures("broken")
    def test_an_object_that_does_not_exist_is_reported_all_the_same(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(3):
            with pytest.raises(Album.DoesNotExist):
                Album.objects.get(year=1)
        assert len(caplog.records) == 1

    def test_a_query_that_only_its_marks_prevent_runs_through_django(
        self, used: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        catalogue()
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(CharField, "get_db_prep_value", refuse_copies)

            def album() -> Album:
                return Album.objects.get(title="Album 1")

            assert thrice(album, used, planned=False).title == "Album 1"
        assert not caplog.records

    def test_a_write_that_only_its_marks_prevent_does_not_break_its_transaction(
        self,
    ) -> None:
        catalogue()
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(CharField, "get_db_prep_value", refuse_copies)
            for number in range(3):
                with transaction.atomic():
                    tracks = Track.objects.filter(title="1")
                    assert tracks.update(position=number) == 3
                    assert tracks.filter(title="none").delete() == (0, {})
                    assert connection.rollback_exc is None

    @only_sqlite
    def test_a_value_that_only_the_driver_prepares_is_no_error(self) -> None:
        album = catalogue()
        album.title = "On 1965-10-01"
        album.save()
        date = datetime.date(1965, 10, 1)
        for _ in range(4):
            assert list(Album.objects.filter(title__regex=date)) == [album]

    @only_sqlite
    @isolate_apps("tests.records")
    @pytest.mark.parametrize("lookup", ["icontains", "istartswith", "iexact"])
    def test_a_lookup_that_its_own_sql_changes_is_left_to_django(
        self, lookup: str, used: list[str]
    ) -> None:
        class Keyed(models.Model):
            name = models.UUIDField()

            class Meta:
                app_label = "records"
                db_table = Genre._meta.db_table

        keys = [uuid.UUID(int=number) for number in (1, 2**127)]
        for key in keys:
            Keyed.objects.create(name=key)

        def found() -> list[uuid.UUID]:
            # Part of a key, if the lookup takes one.
            asked = str(keys[1])[: None if lookup == "iexact" else 20]
            rows = Keyed.objects.filter(**{f"name__{lookup}": asked})
            return [*rows.values_list("name", flat=True)]

        assert thrice(found, used, planned=False) == [keys[1]]

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [(BinaryField(), 1, "int"), (JSONField(), datetime.date(1965, 10, 1), "date")],
        ids=["binary", "JSON"],
    )
    def test_an_error_about_the_type_of_a_value_names_that_type(
        self, field: Any, value: Any, message: str
    ) -> None:
        texts = set()
        for _ in range(3):
            albums = Album.objects.annotate(given=Cast("title", field))
            with pytest.raises(TypeError, match=rf"\b{message}\b") as error:
                list(albums.filter(given=value))
            texts.add(str(error.value))
        assert len(texts) == 1

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Album.objects.filter(nothing__in=Artist.objects.all()),
            lambda: Album.objects.annotate(one=object()),
            lambda: list(Album.objects.filter(year__gt=2**80).extra(order_by=["no"])),
            lambda: list(Album.objects.extra(select={"no": "no_such_column"})),
            lambda: Album.objects.extra(select={"no": "no_such_column"}).get(),
            lambda: Album.objects.filter(year=1).aggregate(Count("nothing")),
            lambda: Album.objects.get(title="nothing"),
            lambda: Album.objects.filter(year=1).update(year=[1]),
            lambda: Album(pk=1, year=[1], artist_id=1).save(),
            lambda: [Genre.objects.create(name=name) for name in ("a", F("name"))],
        ],
        ids=[
            "an unknown lookup of a queryset",
            "what is no expression",
            "an unknown ordering",
            "an unknown column",
            "an unknown column of one object",
            "an aggregate of nothing",
            "no object",
            "an update to a value of no kind",
            "such a value that is saved",
            "a column that is inserted",
        ],
    )
    def test_errors_of_a_query_are_djangos_with_the_same_causes(
        self,
        make: Callable[[], Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def errors() -> list[str]:
            try:
                with transaction.atomic():
                    make()
            except Exception as error:
                found: list[str] = []
                one: BaseException | None = error
                while one is not None:
                    found.append(repr(one))
                    one = one.__cause__ or one.__context__
                return found
            raise AssertionError("There is no error.")

        with monkeypatch.context() as patches:
            patches.setattr(trails, "_enabled", False)
            expected = errors()
        shapes.forget()
        assert [errors() for _ in range(3)] == [expected] * 3
        assert not caplog.records
