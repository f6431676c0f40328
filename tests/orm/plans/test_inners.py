"""Inner querysets in the arguments of a step: their keys, and what stands for them."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField

from tests.records.models import Album, Track
from vinyl.orm.plans.expressions import key_of
from vinyl.orm.plans.inners import Found, template_of, trail_inside, values_of
from vinyl.orm.plans.shapes import Unplannable

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


def keyed(value: Any) -> tuple[Any, list[Found]]:
    found: list[Found] = []
    return key_of(value, found), found


def tracks(title: str) -> Any:
    return Track.objects.filter(album=OuterRef("pk"), title=title)


def test_their_values_are_not_in_the_key() -> None:
    (one, found), (other, _) = keyed(tracks("x")), keyed(tracks("y"))
    assert one == other
    assert values_of(found) == ["x"]


@pytest.mark.parametrize(
    "other",
    [
        lambda: tracks("x").all()[:1],
        lambda: tracks("x").using("default"),
        lambda: Exists(tracks("x")),
        lambda: Subquery(tracks("x")),
        lambda: Subquery(tracks("x"), TextField()),
        lambda: Subquery(tracks("x"), template="(%(subquery)s)"),
    ],
)
def test_others_have_another(other: Any) -> None:
    key, found = keyed(other())
    assert values_of(found) == ["x"]
    assert key != keyed(tracks("x"))[0]
    assert key == keyed(other())[0]


def test_the_same_object_is_one() -> None:
    one = tracks("x")
    key, found = keyed([one, one])
    assert values_of(found) == ["x"]
    assert key != keyed([tracks("x"), tracks("x")])[0]


def test_what_has_no_trail_has_no_key() -> None:
    read = tracks("x")
    read.query  # noqa: B018
    for value in (read, Exists(read), Album.objects.none()):
        with pytest.raises(Unplannable):
            keyed(value)
    with pytest.raises(Unplannable):
        key_of(tracks("x"))


def test_a_template_has_none_of_them() -> None:
    queryset, condition = tracks("x"), Exists(tracks("y"))
    given = (Q(condition, pk__in=queryset),)
    _, found = keyed(given)
    template: Any
    [template] = template_of(given, found)
    assert [*template.children] == [
        found[0].inner,
        ("pk__in", found[1].inner),
    ]
    assert "filter(album=OuterRef(pk), title=?)" in repr(template)
    with pytest.raises(Unplannable):
        template_of(given, found[:1])
    with pytest.raises(Unplannable):
        template_of(given, found[1:])
    # Other copies are as before.
    copied: Any
    [copied] = copy.deepcopy(given)
    assert isinstance(copied.children[1][1], QuerySet)


def test_a_queryset_of_a_manager_has_the_values_of_the_moment() -> None:
    album = Album(pk=1)
    trail = trail_inside(album.tracks.all())
    assert trail is not None
    assert not trail.is_fixed
