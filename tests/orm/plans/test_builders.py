"""The functions that make instances of rows, beside `from_db()` of Django."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import django
import pytest

from tests.records.models import Album, Artist
from vinyl.orm.plans import builders
from vinyl.orm.plans.builders import builder_of

if django.VERSION >= (6, 1):
    from django.db.models import FETCH_ONE

    MODE: Any = FETCH_ONE
else:
    MODE = None

ARTIST = [(1, "Nina"), (2, "Ella"), (None, None)]


@dataclass
class Columns:
    """A `RelatedPart` of the concrete fields of *model*, from column *start* on."""

    model: Any
    start: int = 0
    related: list[Any] = field(default_factory=list)
    local_name: str | None = None
    set_local: Callable[[Any, Any], object] = field(default=lambda one, other: None)
    set_remote: Callable[[Any, Any], object] | None = None
    fixed: str = ""

    def __post_init__(self) -> None:
        self.names = [one.attname for one in self.model._meta.concrete_fields]
        self.columns = [(name, self.start + n) for n, name in enumerate(self.names)]
        self.keys = [column for name, column in self.columns if name.endswith("_id")]
        self.key = self.start

    def is_settable(self, name: str) -> bool:
        return not name.endswith("_id") and name != self.fixed


def album(**values: Any) -> tuple[Any, ...]:
    names = Columns(Album).names
    return tuple(values.get(name, name) for name in names)


def by_django(row: tuple[Any, ...]) -> Any:
    given = {} if MODE is None else {"fetch_mode": MODE}
    return Album.from_db("other", Columns(Album).names, row, **given)


@pytest.mark.parametrize("fixed", ["", "id", "year"])
@pytest.mark.parametrize("key", [None, 7])
def test_makes_what_from_db_makes(fixed: str, key: int | None) -> None:
    row = album(id=5, artist_id=key, label_id=None)
    build = builder_of(Columns(Album, fixed=fixed), len(row), keeps_all=False)
    [[made]] = build([row], "other", MODE)
    expected = by_django(row)
    # In the same order, too.
    states = [one.__dict__.pop("_state") for one in (made, expected)]
    assert [*vars(made).items()] == [*vars(expected).items()]
    assert [*vars(states[0]).items()] == [*vars(states[1]).items()]


class TestMakesInstancesOf:
    """Classes that Python sets attributes of in several ways."""

    def check(self, model: Any) -> None:
        part = Columns(model)
        row = tuple(7 if name.endswith("_id") else name for name in part.names)
        [[made]] = builder_of(part, len(row), keeps_all=False)([row], "other", MODE)
        assert type(made) is model
        assert [name for name in vars(made) if name != "_state"] == part.names
        assert tuple(getattr(made, name) for name in part.names) == row
        assert made._state.fields_cache == {}
        # It is an instance in every other respect: it can be changed and copied.
        made.artist_id = 8
        made.remark = "new"
        copied = copy.deepcopy(pickle.loads(pickle.dumps(made)))
        assert type(copied) is model
        assert vars(copied).keys() >= vars(made).keys()
        assert (copied.artist_id, copied.remark) == (8, "new")
        assert weakref.ref(made)() is made

    def test_a_model(self) -> None:
        self.check(Album)

    def test_a_model_whose_instances_keep_attributes_in_themselves(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(builders, "_KEEPS_VALUES", False)
        self.check(Album)

    def test_a_model_that_no_other_class_can_become(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(builders, "_KEEPS_VALUES", True)
        # As for a class with slots.
        other = type("Slotted", (), {"__slots__": ("artist_id",)})
        assert builders._bare_class(other) is None
        assert builders._bare_class(Album) is not None
        monkeypatch.setattr(builders, "_bare_class", lambda model: None)
        self.check(Album)


def test_refuses_rows_of_another_width() -> None:
    build = builder_of(Columns(Artist), 3, keeps_all=False)
    with pytest.raises(ValueError, match="not enough values"):
        build([(1, "Nina")], "other", MODE)


def test_caches_what_was_selected_with_it() -> None:
    width = len(Columns(Album).names)
    artist = Columns(Artist, start=width, local_name="artist")
    build = builder_of(Columns(Album, related=[artist]), width + 2, keeps_all=True)
    rows = [album(artist_id=one[0], label_id=None) + one for one in ARTIST]
    albums, artists = build(rows, "other", MODE)
    assert [one._state.fields_cache for one in albums] == [
        {"artist": artists[0]},
        {"artist": artists[1]},
        {"artist": None},
    ]
    assert [(one.pk, one.name) for one in artists] == ARTIST[:2]
    assert {one._state.db for one in (*albums, *artists)} == {"other"}
    assert [*vars(albums[0]._state)] == [*vars(by_django(rows[0][:width])._state)]


def test_has_relations_set_that_are_not_simply_cached() -> None:
    calls: list[tuple[Any, ...]] = []
    width = len(Columns(Album).names)
    artist = Columns(
        Artist,
        start=width,
        set_local=lambda *given: calls.append(("local", *given)),
        set_remote=lambda *given: calls.append(("remote", *given)),
    )
    build = builder_of(Columns(Album, related=[artist]), width + 2, keeps_all=True)
    rows = [album(artist_id=None, label_id=None) + one for one in ARTIST[1:]]
    (first, second), (ella,) = build(rows, "other", MODE)
    assert calls == [
        ("local", first, ella),
        ("remote", ella, first),
        ("local", second, None),
    ]


def test_makes_each_relation_of_a_relation_only_where_there_is_one() -> None:
    inner = Columns(Artist, start=2, local_name="teacher")
    outer = Columns(Artist, start=0, local_name="artist", related=[inner])
    build = builder_of(Columns(Artist, start=4, related=[outer]), 6, keeps_all=True)
    rows = [
        (1, "Nina", 2, "Ella", 3, "Abbey"),
        (None, None, None, None, 4, "Betty"),
        (5, "Carmen", None, None, 6, "Dinah"),
    ]
    roots, outers, inners = build(rows, "other", MODE)
    assert [len(roots), len(outers), len(inners)] == [3, 2, 1]
    assert roots[0]._state.fields_cache["artist"] is outers[0]
    assert outers[0]._state.fields_cache["teacher"] is inners[0]
    assert roots[1]._state.fields_cache["artist"] is None
    assert roots[2]._state.fields_cache["artist"]._state.fields_cache == {
        "teacher": None
    }
    # Without them, only the first list is made.
    assert len(builder_of(outer, 6, keeps_all=False)(rows[:1], "other", MODE)) == 1
