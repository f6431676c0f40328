"""Instances have the state that Django's `__init__()` gives them."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg, var-annotated"

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import DEFERRED, Model
from django.db.models.signals import post_init, pre_init
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist, Biography, Tag
from vinyl.exceptions import NotFetchedError
from vinyl.orm import models
from vinyl.orm.dualmode.lazy import NotFetched
from vinyl.orm.plans import model_init

_model: Any = Model


@pytest.fixture
def djangos(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The classes of the instances for which Django's own method was called."""
    called: list[Any] = []
    own = _model.__init__.__wrapped__

    @functools.wraps(own)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        called.append(type(self))
        own(self, *args, **kwargs)

    monkeypatch.setattr(Model, "__init__", model_init.patch_init(init))
    return called


def made(init: Callable[..., None], cls: Any, kwargs: dict[str, Any]) -> Any:
    """The state of an instance after *init*, in its order, and an error if any."""
    obj = cls.__new__(cls)
    error = None
    try:
        init(obj, **kwargs)
    except Exception as raised:
        error = type(raised), str(raised)
    values = dict(vars(obj))
    state = values.pop("_state", None)
    # A copy: what is related changes with the next instance.
    known = state and [(name, repr(value)) for name, value in vars(state).items()]
    return list(values.items()), known, list(vars(obj)), error


def is_same(cls: Any, **kwargs: Any) -> None:
    """Compare what Django's method does with *kwargs* with what the patched does."""
    assert made(_model.__init__, cls, kwargs) == made(
        inspect.unwrap(_model.__init__), cls, kwargs
    )


ARTIST = Artist(pk=1, name="Nina Simone")


@pytest.mark.parametrize(
    ("cls", "kwargs"),
    [
        (Artist, {}),
        (Artist, {"name": "Nina Simone"}),
        (Album, {"title": "Pastel Blues", "artist": ARTIST}),
        (Album, {"year": "1965", "id": 5, "artist_id": 1, "title": None}),
        (Album, {"artist_id": None, "label": None}),
        (Album, {"artist": 5}),
        (Album, {"title": DEFERRED, "artist": DEFERRED, "label_id": DEFERRED}),
        (Biography, {"artist": ARTIST, "text": "Born in Tryon."}),
    ],
)
def test_it_is_set_without_django(
    djangos: list[Any], cls: Any, kwargs: dict[str, Any]
) -> None:
    is_same(cls, **kwargs)
    assert djangos == []


@pytest.mark.parametrize(
    ("cls", "kwargs"),
    [
        (Artist, {"pk": 5, "name": "Nina Simone"}),
        (Artist, {"nme": "Nina Simone"}),
        (Album, {"artist": ARTIST, "artist_id": 1}),
        (Tag, {"word": "jazz", "target": ARTIST}),
    ],
)
@pytest.mark.usefixtures("db")
def test_other_arguments_are_left_to_django(
    djangos: list[Any], cls: Any, kwargs: dict[str, Any]
) -> None:
    is_same(cls, **kwargs)
    assert cls in djangos


def test_positional_arguments_are_left_to_django(djangos: list[Any]) -> None:
    assert Artist(1, "Nina Simone").name == "Nina Simone"
    assert djangos == [Artist]


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_receivers_are_called(djangos: list[Any], signal: Any) -> None:
    found: list[Any] = []

    def receive(sender: Any, **kwargs: Any) -> None:
        found.append(sender)

    signal.connect(receive, sender=Artist)
    try:
        Album(title="Pastel Blues")
        assert found == djangos == []
        Artist(name="Nina Simone")
    finally:
        signal.disconnect(receive, sender=Artist)
    assert found == djangos == [Artist]


def test_a_value_that_is_not_fetched_is_refused() -> None:
    lazy = NotFetched(ARTIST, "notes", lambda: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(NotFetchedError):
        Album(title=lazy)


@isolate_apps("tests.records")
def test_code_of_the_model_runs(djangos: list[Any]) -> None:
    count = 0

    def next_number() -> int:
        nonlocal count
        count += 1
        return count

    class Loud(models.CharField):
        """A field with a descriptor of its own."""

        def contribute_to_class(self, cls: Any, name: str, *args: Any) -> None:
            super().contribute_to_class(cls, name, *args)

            def set_loudly(obj: Any, value: Any) -> None:
                obj.__dict__[name] = value.upper()

            setattr(cls, name, property(lambda obj: obj.__dict__[name], set_loudly))

    class Song(models.Model):
        number = models.IntegerField(default=next_number)
        title = Loud(max_length=20, default="untitled")
        twice = models.GeneratedField(
            expression=models.F("number") * 2,
            output_field=models.IntegerField(),
            db_persist=True,
        )

        class Meta:
            app_label = "records"

    assert (Song().title, Song(title="warm").title) == ("UNTITLED", "WARM")
    assert (Song().number, Song(number=7).number, Song().number) == (3, 7, 4)
    assert "twice" not in vars(Song())
    assert djangos == []
    models.BooleanField(default=True).contribute_to_class(Song, "is_live")
    assert Song().is_live


@isolate_apps("tests.records")
def test_classes_with_a_method_that_django_calls_are_left_to_it(
    djangos: list[Any],
) -> None:
    class Noting:
        def __init__(self) -> None:
            self.noted = True

    class Song(models.Model, Noting):
        title = models.CharField(max_length=20)

        class Meta:
            app_label = "records"

    class Setting(models.Model):
        title = models.CharField(max_length=20)

        class Meta:
            app_label = "records"

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(
                name, value and value.upper() if name == "title" else value
            )

    class Base(models.Model):
        class Meta:
            abstract = True

    assert Song(title="warm").noted
    assert Setting(title="warm").title == "WARM"
    with pytest.raises(TypeError, match="Abstract models cannot be instantiated"):
        Base()
    assert djangos == [Song, Setting, Base]
