"""`bulk_create()` has the effects of Django's, in few steps."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg, var-annotated"

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import DataError, IntegrityError, connection, connections
from django.db.models import F, Value
from django.db.models.functions import Lower
from django.test.utils import CaptureQueriesContext, isolate_apps

from tests.cancelling import cancel_at
from tests.fix_db import only_postgresql
from tests.orm.plans.planning import outcome_of, uses_of
from tests.records.models import Album, Artist, Genre, Label
from vinyl.orm import models, run
from vinyl.orm.backends.psycopg_adapters import Array
from vinyl.orm.plans import bulk_creates, shapes, trails
from vinyl.orm.plans.insert_plan import InsertPlan

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of objects of each call that did not go to Django's method."""
    found: list[int] = []
    created = bulk_creates._created

    def noted(queryset: Any, objs: Any, batch_size: Any) -> Any:
        result = created(queryset, objs, batch_size)
        if result is not None:
            found.append(len(result))
        return result

    monkeypatch.setattr(bulk_creates, "_created", noted)
    return found


def shown(objects: Any) -> list[Any]:
    return [
        {name: value for name, value in vars(one).items() if name != "_state"}
        | {"state": vars(one._state)}
        for one in objects
    ]


def is_same(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]) -> Any:
    """The result of *make*: the same without plans, for the first time, and by plan."""
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = outcome_of(make)
    shapes.forget()
    for _ in range(3):
        assert outcome_of(make) == expected
    return expected[0]


def albums(count: int, **values: Any) -> list[Album]:
    return [Album(title=f"{n}", year=n, **values) for n in range(count)]


@pytest.mark.parametrize("key", [None, 1000], ids=["without keys", "with keys"])
@pytest.mark.parametrize("size", [None, 3, 100])
def test_objects_are_as_django_leaves_them(
    monkeypatch: pytest.MonkeyPatch, taken: list[int], key: int | None, size: Any
) -> None:
    artist = Artist.objects.create(name="Nina Simone")
    start = 1 + Album.objects.count()

    def make() -> Any:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(f"ALTER TABLE records_album ALTER id RESTART {start}")
        made = albums(7, artist=artist, label=None)
        for number, one in enumerate(made):
            one.pk = None if key is None else key + number
        given = tuple(made)
        found = Album.objects.bulk_create(given, size)
        assert [*map(id, found)] == [*map(id, given)]
        stored = Album.objects.order_by("pk").values_list()
        return shown(found), [*stored]

    found, stored = is_same(monkeypatch, make)
    assert taken == [7] * 3
    assert [one["id"] for one in found] == [row[0] for row in stored]
    assert [row[2] for row in stored] == [*range(7)]


def unsaved_relation() -> Any:
    return Album.objects.bulk_create(albums(2, artist=Artist(name="Odetta")))


def saved_since() -> Any:
    made = albums(2, artist=Artist(pk=None, name="Odetta"))
    made[0].artist.pk = Artist.objects.get().pk
    return [one.artist_id for one in Album.objects.bulk_create(made[:1])]


def mixed() -> Any:
    made = albums(2, artist=Artist.objects.get())
    made[1].pk = 1000
    return len(Album.objects.bulk_create(made))


def deferred() -> Any:
    artist = Artist.objects.get()
    for one in albums(2, artist=artist):
        one.pk = 1000 + one.year
        one.save(force_insert=True)
    return Album.objects.bulk_create([*Album.objects.defer("year").order_by("pk")])


def expression() -> Any:
    made = [Genre(pk=n, name=Lower(Value(f"A{n}"))) for n in range(1, 5)]
    made[0].name = "plain"
    Genre.objects.bulk_create(made, batch_size=1)
    return [*Genre.objects.order_by("pk").values_list("name", flat=True)]


def refused() -> Any:
    return Genre.objects.bulk_create([Genre(name="a"), Genre(name=F("name"))])


def two_of_a_kind() -> Any:
    Artist.objects.bulk_create([Artist(name=name) for name in "abcb"])


def no_batch() -> Any:
    return Genre.objects.bulk_create([Genre(name="a")], batch_size=0)


def unknown_option() -> Any:
    return Genre.objects.bulk_create([Genre(name="a")], other=None)  # type: ignore[call-arg]


def generator() -> Any:
    return len(Genre.objects.bulk_create(Genre(name=name) for name in "ab"))


def nothing() -> Any:
    return Genre.objects.bulk_create([]), Genre.objects.bulk_create(())


def others() -> Any:
    return len(
        Genre.objects.bulk_create(
            [Genre(name="a"), Label(name="b")]  # type: ignore[list-item]
        )
    )


@pytest.mark.parametrize(
    "make",
    [
        unsaved_relation,
        saved_since,
        mixed,
        deferred,
        expression,
        refused,
        two_of_a_kind,
        no_batch,
        unknown_option,
        generator,
        nothing,
        others,
    ],
)
def test_results_and_errors_are_those_of_django(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    Artist.objects.create(name="Nina Simone")
    is_same(monkeypatch, make)


def test_a_method_of_the_project_is_called(
    monkeypatch: pytest.MonkeyPatch, taken: list[int]
) -> None:
    called: list[str] = []

    class Genres(models.QuerySet):
        def _insert(self, *args: Any, **kwargs: Any) -> Any:
            called.append("_insert")
            return super()._insert(*args, **kwargs)

    def prepare(self: Any, **kwargs: Any) -> None:
        called.append("prepare")

    for _ in range(2):
        Genres(Genre).bulk_create([Genre(name="a"), Genre(name="b")])
    monkeypatch.setattr(Genre, "_prepare_related_fields_for_save", prepare)
    Genre.objects.bulk_create([Genre(name="c")])
    assert taken == []
    assert called == ["_insert", "_insert", "prepare"]


@pytest.mark.parametrize("size", [None, 2])
def test_transactions_are_those_of_django(
    monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    """Outside any block, where `outcome_of()` cannot look."""

    def texts() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            Genre.objects.bulk_create([Genre(name=name) for name in "abcd"], size)
        return [query["sql"] for query in queries]

    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = texts()
    for _ in range(3):
        assert texts() == expected


@pytest.mark.parametrize("size", [None, 2])
def test_batches_are_inserted_together_or_not_at_all(size: int | None) -> None:
    for attempt in range(3):
        for name in "xy":
            Artist.objects.bulk_create([Artist(name=f"{name}{attempt}")])
        made = [Artist(name=f"{name}{attempt}") for name in "abcx"]
        with pytest.raises(IntegrityError):
            Artist.objects.bulk_create(made, size)
        assert all(one.pk is None and one._state.adding for one in made)
    assert Artist.objects.count() == 6


def arrays_in(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the parameters of each statement without a cursor are arrays."""
    found: list[bool] = []
    wrapper_class: Any = type(connections["default"])
    fetch = wrapper_class.fetch_rows

    def noted(self: Any, statement: Any, params: Any) -> Any:
        if statement.sql.startswith("INSERT"):
            found.append(all(isinstance(param, Array) for param in params))
        return fetch(self, statement, params)

    monkeypatch.setattr(wrapper_class, "fetch_rows", noted)
    return found


@isolate_apps("tests.records")
def test_defaults_of_the_database_are_set_as_by_django(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Visit(models.Model):
        name = models.CharField(max_length=20, db_default="anon")

        class Meta:
            app_label = "records"

    with connection.schema_editor() as editor:
        editor.create_model(Visit)
    try:

        def make() -> Any:
            made = [Visit(pk=1), Visit(pk=2, name="Nina")]
            Visit.objects.bulk_create(made)
            names = [type(one.name) for one in made]
            return names, [*Visit.objects.order_by("pk").values_list()]

        assert is_same(monkeypatch, make)[1] == [(1, "anon"), (2, "Nina")]
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Visit)


@only_postgresql
@isolate_apps("tests.records")
def test_every_type_of_array_is_stored_as_by_django(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Target(models.Model):
        id = models.UUIDField(primary_key=True)

        class Meta:
            app_label = "records"

    class Everything(models.Model):
        small = models.SmallIntegerField(null=True)
        positive = models.PositiveIntegerField(null=True)
        big = models.BigIntegerField(null=True)
        number = models.FloatField(null=True)
        price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
        is_live = models.BooleanField(null=True)
        day = models.DateField(null=True)
        at = models.DateTimeField(null=True)
        made = models.DateTimeField(auto_now_add=True)
        code = models.UUIDField(null=True)
        title = models.CharField(max_length=5, null=True)
        slug = models.SlugField(null=True)
        text = models.TextField(null=True)
        target = models.ForeignKey(Target, models.CASCADE, null=True)

        class Meta:
            app_label = "records"

    with connection.schema_editor() as editor:
        editor.create_model(Target)
        editor.create_model(Everything)
    target = Target.objects.create(pk=uuid.UUID(int=5))
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    values: dict[str, Any] = {
        "small": -3,
        "positive": 2**31 - 1,
        "big": 2**63 - 1,
        "number": -0.1,
        "price": Decimal("-1.255"),
        "is_live": False,
        "day": moment.date(),
        "at": moment,
        "code": uuid.UUID(int=7),
        "title": "é'\\\"",
        "slug": "a",
        "text": "NULL",
        "target": target,
    }

    def stored() -> Any:
        Everything.objects.all().delete()
        before = datetime.datetime.now(datetime.UTC)
        made = [Everything(**values), Everything(), Everything(title="")]
        Everything.objects.bulk_create(made)
        rows = Everything.objects.order_by("pk").values_list(*values)
        for one in Everything.objects.all():
            assert before <= one.made == made[one.pk - made[0].pk].made
        return [*rows]

    try:
        with monkeypatch.context() as off:
            off.setattr(trails, "_enabled", False)
            expected = stored()
        stored()
        sent = arrays_in(monkeypatch)
        for _ in range(7):
            # At the end, as a prepared statement.
            assert stored() == expected
        assert sent == [True] * 7
        for name, value in (
            ("small", 2**15),
            ("title", "123456"),
            ("text", "a\0"),
            ("price", Decimal("1e9")),
        ):
            with pytest.raises((DataError, ValueError)) as caught:
                Everything.objects.bulk_create([Everything(**{name: value})] * 2)
            with monkeypatch.context() as off:
                off.setattr(trails, "_enabled", False)
                with pytest.raises(caught.type) as own:
                    Everything.objects.bulk_create([Everything(**{name: value})] * 2)
            assert str(caught.value).split("\n")[0] == str(own.value).split("\n")[0]
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Everything)
            editor.delete_model(Target)


@only_postgresql
def test_rows_that_a_trigger_refuses_are_the_same_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RETURN NULL; END'"
        )
        cursor.execute(
            "CREATE TRIGGER refusing BEFORE INSERT ON records_genre FOR EACH ROW "
            "WHEN (new.name = 'b') EXECUTE FUNCTION refuse()"
        )
    try:
        found = []
        for enabled in (False, True, True, True):
            monkeypatch.setattr(trails, "_enabled", enabled)
            with pytest.raises(AssertionError):
                Genre.objects.bulk_create([Genre(name=name) for name in "abc"])
            found.append(Genre.objects.count())
            Genre.objects.all().delete()
        # Django has committed the others, or not, depending on its version.
        assert len(set(found)) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refusing ON records_genre")
            cursor.execute("DROP FUNCTION refuse()")


@pytest.mark.anyio
class TestOnTheEventLoop:
    async def test_objects_are_inserted_by_a_plan(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        used = uses_of(InsertPlan, monkeypatch)
        for number in range(3):
            made = await Genre.objects.bulk_create(
                [Genre(name=f"{number} {n}") for n in range(20)]
            )
            await Genre.objects.abulk_create([Genre(name="other")] * 2)
            assert await Genre.objects.filter(name=made[7].name).aget() == made[7]
        assert len(used) >= 4

    @pytest.mark.parametrize("late", [False, True])
    async def test_a_cancelled_task_inserts_all_or_nothing(self, late: bool) -> None:
        def many() -> list[Artist]:
            return [Artist(name=f"{n}") for n in range(50)]

        async def insert(objs: list[Artist]) -> None:
            await Artist.objects.bulk_create(objs)

        for _ in range(2):
            await insert(many())
            await run(Artist.objects.all().delete)
        step, reached = 1, True
        while reached:
            made = many()
            outcome, reached = await cancel_at(step, insert(made), late=late)
            count = await Artist.objects.acount()
            assert count in (0, 50)
            if outcome is None:
                assert count == 50
                assert await Artist.objects.aget(name="7") == made[7]
            else:
                assert isinstance(outcome, asyncio.CancelledError)
            await Artist.objects.all().adelete()
            step += 1
        assert step > 2

    @only_postgresql
    async def test_a_killed_session_is_one_error(self, postgres_url: str) -> None:
        for _ in range(2):
            await Genre.objects.bulk_create([Genre(name="a"), Genre(name="b")])

        def kill() -> None:
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute(
                    # Returns when they have ended, or after 10 s.
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )

        before = await Genre.objects.acount()
        await asyncio.to_thread(kill)
        made = [Genre(name="c"), Genre(name="d")]
        await Genre.objects.bulk_create(made)
        assert await Genre.objects.acount() == before + 2
