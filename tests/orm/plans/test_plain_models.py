"""Which models do only what Django's own code does."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models.signals import post_init, pre_init
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist, Track
from vinyl.orm.plans.plain_models import (
    has_init_receivers,
    has_plain,
    is_plain,
    key_names,
)


def test_a_model_with_djangos_fields_is_plain() -> None:
    assert is_plain(Artist)
    assert is_plain(Album, ["id", "title"])


def test_not_with_names_in_another_order() -> None:
    assert not is_plain(Album, ["title", "id"])


@pytest.mark.parametrize("name", ["__init__", "__setattr__", "from_db"])
@isolate_apps("tests.records")
def test_not_with_code_of_its_own(name: str) -> None:
    class Own(Artist):
        class Meta:
            proxy = True
            app_label = "records"

    assert is_plain(Own)

    def own(*args: Any, **kwargs: Any) -> None:
        """Its code does not matter."""

    setattr(Own, name, classmethod(own) if name == "from_db" else own)
    assert not is_plain(Own)


@isolate_apps("tests.records")
def test_attributes_that_do_more_are_not_plain() -> None:
    class Loud(Artist):
        class Meta:
            proxy = True
            app_label = "records"

    assert has_plain(Loud, "name")
    setattr(Loud, "name", property(lambda self: "LOUD"))  # noqa: B010 (for mypy)
    assert not has_plain(Loud, "name")
    assert has_plain(Loud, "id")
    assert not is_plain(Loud)


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_receivers_of_new_instances(signal: Any) -> None:
    def receive(**kwargs: Any) -> None:
        pass

    assert not has_init_receivers(Album)
    signal.connect(receive, sender=Album)
    try:
        assert has_init_receivers(Album)
        assert not has_init_receivers(Track)
    finally:
        signal.disconnect(receive, sender=Album)


def test_the_key_of_a_relation() -> None:
    assert key_names(Album._meta.get_field("artist"), Album) == ["artist_id"]
