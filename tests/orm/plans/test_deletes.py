"""`delete()` by a plan does what Django's does, or is left to Django."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-arg, misc, type-arg"
# mypy: disable-error-code="union-attr, var-annotated"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.signals import post_delete, pre_delete
from django.db.transaction import TransactionManagementError
from django.test.utils import isolate_apps

from tests.cancelling import cancel_after
from tests.fix_db import only_postgresql
from tests.orm.plans.planning import catalogue, written
from tests.records.models import Album, Artist, Biography, Genre, Label, Track
from vinyl.orm import models, run
from vinyl.orm import transaction as dual_transaction
from vinyl.orm.plans import deletes, trails
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


def left(result: Any = None) -> Any:
    return result, [*Track.objects.order_by("pk").values_list("title", "album__year")]


def track() -> Any:
    return Track.objects.filter(album__year=1).first()


def one(**values: Any) -> Any:
    found = track()
    for name, value in values.items():
        setattr(found, name, value)
    return left(found.delete()), found.pk, found._state.adding, found._state.db


def rows(**conditions: Any) -> Any:
    return Track.objects.filter(**conditions)


CASES: dict[str, Callable[[], Any]] = {
    "an instance": lambda: one(),
    "an instance whose row is gone": lambda: one(pk=100_000),
    "an instance on a database": lambda: left(track().delete(using="default")),
    "rows": lambda: left(rows(position=1).delete()),
    "rows of a related manager": lambda: left(track().album.tracks.all().delete()),
    "rows with a condition on a relation": lambda: left(rows(album__year=1).delete()),
    "no rows": lambda: left(rows(position=77).delete()),
    "ordered rows": lambda: left(rows(album__year=2).order_by("-title").delete()),
    "all rows": lambda: left(Track.objects.all().delete()),
    "rows without some": lambda: left(Track.objects.exclude(title="1").delete()),
    "distinct rows": lambda: left(rows(position=1).distinct().delete()),
}
LEFT: dict[str, Callable[[], Any]] = {
    "sliced rows": lambda: rows(position=1)[:1].delete(),
    "values": lambda: rows(position=1).values("title").delete(),
    "distinct columns": lambda: rows(position=1).distinct("title").delete(),
    "no key": lambda: Track(title="x").delete(),
    "an unknown argument": lambda: Track(pk=1).delete(force=True),
    "a key that is no number": lambda: Track(pk="x").delete(),
    "rows in an empty list": lambda: left(rows(pk__in=[]).delete()),
}


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch, used: list[str]) -> list[str]:
    """The SQL of each DELETE that a plan has run in sync mode or in the bridge."""
    found: list[str] = []
    write = deletes.write

    def noted(sql: str, *args: Any) -> Any:
        found.append(sql)
        return write(sql, *args)

    monkeypatch.setattr(deletes, "write", noted)
    return found


@pytest.mark.parametrize("case", CASES)
def test_it_deletes_with_the_same_sql(
    monkeypatch: pytest.MonkeyPatch, used: list[str], case: str
) -> None:
    catalogue()
    written(monkeypatch, CASES[case], used)


@pytest.mark.parametrize("case", LEFT)
def test_the_rest_is_left_to_django(
    monkeypatch: pytest.MonkeyPatch, used: list[str], case: str
) -> None:
    catalogue()
    written(monkeypatch, LEFT[case], used, planned=False)


def test_what_cascades_is_left_to_django(
    monkeypatch: pytest.MonkeyPatch, used: list[str]
) -> None:
    label = Label.objects.create(name="Colpix")
    catalogue()
    Album.objects.filter(year=1).update(label=label)

    def deleted() -> Any:
        result = Label.objects.filter(name="Colpix").delete()
        return result, Album.objects.get(year=1).label_id

    found = written(monkeypatch, deleted, used, planned=False)
    assert found == ((1, {"records.Label": 1}), None)


@pytest.mark.parametrize("signal", [pre_delete, post_delete])
def test_receivers_are_called(used: list[str], signal: Any) -> None:
    catalogue()
    for _ in range(3):
        Track.objects.order_by("pk").first().delete()
        rows(position=0, title="none").delete()
    assert len(used) == 2
    used.clear()
    seen: list[Any] = []

    def receive(instance: Any, **kwargs: Any) -> None:
        seen.append(instance.title)

    Track.objects.create(title="x", album=Album.objects.first())
    Track.objects.create(title="y", album=Album.objects.first())
    signal.connect(receive, sender=Track)
    try:
        Track.objects.get(title="x").delete()
        rows(title="y").delete()
    finally:
        signal.disconnect(receive, sender=Track)
    assert seen == ["x", "y"]
    assert not used


@isolate_apps("tests.records")
def test_a_relation_that_is_defined_later_cascades(used: list[str]) -> None:
    class Single(models.Model):
        class Meta:
            app_label = "records"

    with connection.schema_editor() as editor:
        editor.create_model(Single)
    for _ in range(4):
        Single.objects.create().delete()
    assert used

    class Side(models.Model):
        single = models.ForeignKey(Single, models.CASCADE)

        class Meta:
            app_label = "records"

    with connection.schema_editor() as editor:
        editor.create_model(Side)
    single = Single.objects.create()
    Side.objects.create(single=single)
    assert single.delete()[0] == 2
    assert not Side.objects.exists()


@isolate_apps("tests.records")
def test_code_of_the_model_runs(used: list[str]) -> None:
    class Odd(models.Model):
        def __hash__(self) -> int:
            found.append("hash")
            return super().__hash__()

        class Meta:
            app_label = "records"

    found: list[str] = []
    with connection.schema_editor() as editor:
        editor.create_model(Odd)
    for number in range(1, 5):
        Odd.objects.create().delete()
        assert found.count("hash") >= number
    assert not used


async def warm() -> Album:
    """An album, after its writes have got their plans."""
    album = await run(catalogue)
    for number in range(3):
        one = await Track.objects.create(title=f"{number}", album=album)
        await one.delete()
        await Track.objects.filter(title="none").delete()
    return album


class TestOnTheLoop:
    async def test_instances_are_deleted(self, direct: list[str]) -> None:
        album = await warm()
        one = await Track.objects.create(title="x", album=album)
        key = one.pk
        direct.clear()
        assert await one.delete() == (1, {"records.Track": 1})
        assert one.pk is None
        one.pk = key
        assert await one.delete() == (0, {"records.Track": 0})
        with pytest.raises(ValueError, match="id attribute is set to None"):
            await one.delete()
        assert direct == ["DELETE"] * 2

    async def test_rows_are_deleted(self, direct: list[str]) -> None:
        await warm()
        direct.clear()
        assert await Track.objects.filter(title="1").delete() == (
            3,
            {"records.Track": 3},
        )
        assert await Track.objects.filter(title="1").delete() == (0, {})
        assert direct == ["DELETE"] * 2
        assert await Track.objects.count() == 3

    async def test_a_rollback_restores_them(self, direct: list[str]) -> None:
        album = await warm()
        one = await album.tracks.afirst()
        direct.clear()
        async with dual_transaction.atomic():
            await one.delete()
            await Track.objects.filter(title="1").delete()
            dual_transaction.set_rollback(True)
        assert direct == ["DELETE"] * 2
        assert await Track.objects.count() == 6

    async def test_a_broken_block_refuses(self) -> None:
        album = await warm()
        one = await album.tracks.afirst()
        for delete in (one.delete, Track.objects.filter(title="1").delete):
            with pytest.raises(TransactionManagementError):
                async with dual_transaction.atomic():
                    dual_transaction.set_rollback(True)
                    await delete()
        assert one.pk is not None

    @only_postgresql
    async def test_errors_break_the_block_around(self, direct: list[str]) -> None:
        await warm()

        def forbid() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE "
                    "integrity_constraint_violation USING MESSAGE = 'kept'; END $$ "
                    "LANGUAGE plpgsql; CREATE TRIGGER refuse BEFORE DELETE ON "
                    "records_track FOR EACH ROW EXECUTE FUNCTION refuse()"
                )

        def permit() -> None:
            with connection.cursor() as cursor:
                cursor.execute("DROP FUNCTION refuse CASCADE")

        await run(forbid)
        try:
            await self.refused()
        finally:
            await run(permit)
        assert await Track.objects.count() == 6

    async def refused(self) -> None:
        for has_plans in (True, False):
            with pytest.MonkeyPatch.context() as patches:
                patches.setattr(trails, "_enabled", has_plans)
                for make in (
                    lambda one: one.delete(),
                    lambda one: Track.objects.filter(title="1").delete(),
                ):
                    one = await Track.objects.afirst()
                    with pytest.raises(IntegrityError, match="kept"):
                        await make(one)
                    assert one.pk is not None
                    async with dual_transaction.atomic():
                        with pytest.raises(IntegrityError, match="kept"):
                            await make(one)
                        assert connections["default"].needs_rollback
                        dual_transaction.set_rollback(True)

    async def test_cancelled_ones_leave_the_connection_clean(self) -> None:
        await warm()
        pool = pool_for("default")
        for turn in range(40):
            await cancel_after(turn % 6, Track.objects.filter(title="none").delete())
            assert await Track.objects.filter(title="none").delete() == (0, {})
        assert not pool.in_use


def test_a_transaction_is_left_out_only_if_nothing_shows_it(used: list[str]) -> None:
    artist = catalogue().artist
    for _ in range(3):
        Biography.objects.filter(text="none").delete()
    assert len(used) == 1
    connection.force_debug_cursor = True
    connection.queries_log.clear()
    try:
        Biography.objects.filter(artist=artist, text="none").delete()
        shown = [one["sql"].split()[0] for one in connection.queries]
        with transaction.atomic():
            Biography.objects.filter(text="none").delete()
        again = [one["sql"].split()[0] for one in connection.queries[len(shown) :]]
    finally:
        connection.force_debug_cursor = False
    assert shown == again == ["BEGIN", "DELETE", "COMMIT"]
    assert Artist.objects.filter(pk=artist.pk).exists()


def genres(change: Callable[[Any, list[Genre]], Any]) -> Any:
    """What *change* of an album's genres leaves, given its manager and all genres."""
    album = Album.objects.get(year=1)
    found = [
        Genre.objects.create(pk=number, name=name)
        for number, name in enumerate("abc", 1)
    ]
    album.genres.add(*found[:2])
    Album.objects.get(year=2).genres.add(*found)
    change(album.genres, found)
    return [
        *Genre.objects.order_by("name", "albums__year").values_list(
            "name", "albums__year"
        )
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda manager, found: manager.remove(found[0]),
        lambda manager, found: manager.remove(found[0].pk, found[2]),
        lambda manager, found: manager.remove(str(found[1].pk)),
        lambda manager, found: found[0].albums.remove(*Album.objects.all()),
        lambda manager, found: manager.set(found[1:]),
        lambda manager, found: manager.set(found[2:], clear=True),
        lambda manager, found: manager.clear(),
    ],
    ids=[
        "one",
        "two",
        "a key as text",
        "from the other side",
        "set",
        "set after clear",
        "all",
    ],
)
def test_rows_of_a_many_to_many_relation(
    change: Any, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue()
    written(monkeypatch, lambda: genres(change), used)
    assert any(sql.startswith("DELETE") for sql in used)


def test_what_is_no_key_of_a_many_to_many_relation_is_refused(
    used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue()
    error, _ = written(
        monkeypatch,
        lambda: genres(lambda manager, found: manager.remove("nonsense")),
        used,
        planned=False,
    )
    assert error is ValueError


async def test_rows_of_a_many_to_many_relation_in_async_mode(used: list[str]) -> None:
    await run(catalogue)
    album = await Album.objects.aget(year=1)
    found = [await Genre.objects.acreate(name=name) for name in "abcd"]
    for genre in found:
        used.clear()
        await album.genres.add(*found)
        await album.genres.remove(genre)
        assert await album.genres.filter(pk=genre.pk).exists() is False
        assert await album.genres.count() == 3
    assert [sql for sql in used if sql.startswith("DELETE")]
