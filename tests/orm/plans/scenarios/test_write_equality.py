"""
An insert by a plan equals Django's.

Hypothesis makes up objects. Django inserts them without plans, then while their plan is
made, then by the plan. Objects, rows, signals, errors, SQL and parameters are the same.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
import os
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.db.models import F, FileField, Value
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Lower, Now
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist, Booklet, Track
from vinyl.orm import models, run
from vinyl.orm.plans import shapes, trails
from vinyl.orm.plans.insert_plan import InsertPlan

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

EXAMPLES = int(os.environ.get("VINYL_FUZZ_EXAMPLES", 60))

TEXTS: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["%s", "'", "\0", "x" * 201, 5, None, Lower(Value("A")), F("pk")]),
)
INTEGERS: st.SearchStrategy[Any] = st.one_of(
    st.integers(-(2**33), 2**33),
    st.sampled_from([True, "7", "x", 1.5, None, Value(3), F("year")]),
)
DATES: st.SearchStrategy[Any] = st.one_of(
    st.dates(),
    st.sampled_from(["1965-10-01", "never", datetime.datetime(1965, 1, 1), Now()]),
)
FILES: st.SearchStrategy[Any] = st.sampled_from(
    [
        "",
        "a.png",
        None,
        "x" * 101,
        FieldFile(Booklet(), FileField(), "b.png"),
        Value("c"),
    ]
)
KEYS: st.SearchStrategy[Any] = st.one_of(st.none(), st.integers(1000, 1003))
FIELDS: dict[type[models.Model], dict[str, st.SearchStrategy[Any]]] = {
    Album: {
        "pk": KEYS,
        "title": TEXTS,
        "year": INTEGERS,
        "notes": TEXTS,
        "released": DATES,
        "artist_id": st.just(1),
    },
    Track: {
        "pk": KEYS,
        "title": TEXTS,
        "album_id": st.just(1),
        "position": INTEGERS,
    },
    Booklet: {"pk": KEYS, "scan": FILES, "album_id": st.just(1)},
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"batch_size": 2},
    {"ignore_conflicts": True},
    {
        "update_conflicts": True,
        "unique_fields": ["id"],
        "update_fields": ["title"],
    },
]


class Rollback(Exception):
    """Undoes what an attempt has written."""


def attempt(
    model: Any, rows: list[dict[str, Any]], options: Any, *, is_logged: bool = True
) -> Any:
    """
    What inserting *rows* does, which is undone: without the SQL if that is not logged,
    so that no cursor is needed.
    """
    signals: list[Any] = []

    def receive(signal: Any, instance: Any, **kwargs: Any) -> None:
        kwargs.pop("sender")
        signals.append((signal is pre_save, list(kwargs), instance.pk is None))

    objects: list[Any] = []
    for signal in (pre_save, post_save):
        signal.connect(receive, sender=model)
    log: Any = CaptureQueriesContext(connection) if is_logged else nullcontext([])
    with log as queries:
        try:
            with transaction.atomic():
                objects += [model(**row) for row in rows]
                if options is None:
                    for one in objects:
                        one.save(force_insert=True)
                else:
                    model.objects.bulk_create(objects, **options)
                stored = [*model.objects.order_by("pk").values_list()]
                raise Rollback
        except Rollback:
            result: Any = stored
        except Exception as error:
            result = type(error), str(error)
        finally:
            for signal in (pre_save, post_save):
                signal.disconnect(receive, sender=model)
    # Django numbers savepoints. A statement that psycopg cannot bind has no text.
    found = [query["sql"] for query in queries]
    texts = [sql for sql in found if sql is None or "SAVEPOINT" not in sql]
    return shown(objects), result, signals, texts


def shown(objects: list[Any]) -> list[Any]:
    return [
        {
            name: (type(value), str(value))
            for name, value in vars(one).items()
            if name != "_state"
        }
        | {"adding": one._state.adding, "db": one._state.db}
        for one in objects
    ]


def restart_keys(model: Any) -> None:
    """Have the next object get the key 5000."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"ALTER TABLE {table} ALTER id RESTART WITH 5000")
        else:
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence VALUES (%s, 4999)", [table])


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_plans_insert_what_django_inserts(
    data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Artist.objects.exists():
        artist = Artist.objects.create(pk=1, name="Nina Simone")
        Album.objects.create(pk=1, title="Pastel Blues", artist=artist)
    model = data.draw(st.sampled_from(list(FIELDS)))
    row = st.fixed_dictionaries(FIELDS[model])
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    options = data.draw(st.sampled_from([None, *OPTIONS]))
    used: list[InsertPlan] = []
    bound = InsertPlan.bound

    def counted(self: InsertPlan, *args: Any) -> Any:
        used.append(self)
        return bound(self, *args)

    def outcome(*, is_logged: bool = True) -> Any:
        restart_keys(model)
        return attempt(model, rows, options, is_logged=is_logged)

    with monkeypatch.context() as patches:
        patches.setattr(trails, "_enabled", False)
        expected = outcome()
        patches.setattr(trails, "_enabled", True)
        patches.setattr(InsertPlan, "bound", counted)
        shapes.forget()
        for occasion in ("learned", "planned", "planned again"):
            assert outcome() == expected, occasion
        assert outcome(is_logged=False)[:3] == expected[:3]
    event(f"planned: {bool(used)}")


async def test_in_the_bridge_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[InsertPlan] = []
    bound = InsertPlan.bound

    def counted(self: InsertPlan, *args: Any) -> Any:
        used.append(self)
        return bound(self, *args)

    await run(shapes.forget)
    monkeypatch.setattr(InsertPlan, "bound", counted)
    for number in range(3):
        artist = await Artist.objects.create(name=f"{number}")
        assert (await Artist.objects.get(pk=artist.pk)).name == f"{number}"
    assert len(used) == 2


@only_postgresql
@pytest.mark.parametrize("position", [2**31, -(2**31) - 1, 2**63, 2**64])
@pytest.mark.usefixtures("db")
def test_a_number_that_is_too_big_for_its_column_is_refused(position: int) -> None:
    artist = Artist.objects.create(name="Nina Simone")
    album = Album.objects.create(title="Pastel Blues", artist=artist)
    track = Track.objects.create(title="Be My Husband", album=album, position=1)
    track.position = position
    same = Track.objects.filter(pk=track.pk)
    for number in range(8):
        Track.objects.create(title="", album=album, position=number)
        same.update(position=number)
        for write in (
            lambda: Track.objects.create(title="", album=album, position=position),
            track.save,
            lambda: track.save(update_fields=["position"]),
            lambda: same.update(position=position),
        ):
            with pytest.raises(DataError, match="out of range"), transaction.atomic():
                write()
    assert set(album.tracks.values_list("position", flat=True)) == set(range(8))
