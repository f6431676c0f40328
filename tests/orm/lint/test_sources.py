"""The types of values in source code."""

from __future__ import annotations

import ast
from typing import Any, cast

import pytest
from django import forms
from django.http import HttpRequest
from django.views import View

from tests.records.models import Album, Artist
from vinyl.orm import fetch
from vinyl.orm.lint.sources import ANY, Thing, given_to, is_dual


@pytest.mark.parametrize(
    ("maker", "kind"),
    [
        (Album, "object"),
        (type(Album.objects.all()), "manager"),
        (forms.Form, "form"),
        (HttpRequest, "request"),
        (View, "view"),
        (dict, None),
        (len, None),
    ],
)
def test_a_class_makes_things_of_a_kind(maker: Any, kind: str | None) -> None:
    made = Thing.made_by(maker)
    assert (made and made.kind) == kind


def test_things_are_merged_if_they_agree() -> None:
    given = Thing("object", Album, fetched=frozenset({"artist"}))
    loaded = Thing("object", Album, fetched=frozenset({"label"}))
    merged = Thing.merged([given, loaded])
    assert merged == Thing("object", Album, fetched=frozenset({"artist", "label"}))
    assert Thing.merged([given, Thing("object", Artist)]) is None
    assert Thing.merged([given, None]) is None


def test_a_relation_is_lazy_until_it_is_fetched() -> None:
    album = Thing("object", Album)
    found = album.attribute("artist")
    assert found
    assert (found.model, found.lazy) == (Artist, "surely")
    found = album._replace(fetched=frozenset({"artist"})).attribute("artist")
    assert found
    assert found.lazy == ""


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("Album(title='x', artist=a)", frozenset({"title", "artist"})),
        ("Album(**fields)", ANY),
        ("Album(1)", ANY),
    ],
)
def test_the_attributes_that_a_call_sets(code: str, names: frozenset[str]) -> None:
    call = cast(ast.Call, ast.parse(code, mode="eval").body)
    assert given_to(call) == names


def test_dual_mode_functions_are_known() -> None:
    assert is_dual(fetch)
    assert is_dual(Album.save)
    assert not is_dual(len)
