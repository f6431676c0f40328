"""Which of Django's methods are patched: they look as before, and do without plans."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import override_settings

from tests.records.models import Album
from vinyl.bridge.patching import NEW, resolve
from vinyl.orm.plans.patches import PATCHES

NAMES = [
    (patch.owner, name)
    for patch in PATCHES
    if patch.applies()
    for name in patch.names.split()
]


def test_each_name_is_patched_once() -> None:
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize(("owner", "name"), NAMES)
def test_a_patched_method_has_its_name_and_docstring(owner: str, name: str) -> None:
    found = inspect.getattr_static(resolve(owner), name)
    if inspect.isfunction(found):
        assert found.__name__ == name
        if name in NEW:
            return
        original = inspect.unwrap(found)
        if original in (getattr(object, name, None), getattr(type, name, None)):
            return
        # Django's own code, below what wraps it.
        assert original.__module__.startswith("django.")


@pytest.mark.usefixtures("db", "nothing_known")
def test_with_plans_turned_off_no_queryset_has_a_trail() -> None:
    def trails() -> list[bool]:
        querysets: list[QuerySet[Any]] = [
            Album.objects.all(),
            Album.objects.filter(year=1).order_by("year"),
        ]
        return [vars(one).get("_trail") is not None for one in querysets]

    assert any(trails())
    with override_settings(VINYL={"PLANS": False}):
        assert not any(trails())
