"""The types of expressions in source code."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from tests.records.models import Album, Artist
from vinyl.orm.lint.inference import Scope, attribute_asked_for, names_in


def names_of(source: str) -> dict[str, Any]:
    nodes = list(ast.walk(ast.parse(source)))
    return names_in(nodes, "tests.records.views", "tests.records")


def test_imported_names_are_found_without_importing() -> None:
    names = names_of("from .models import Album as A\nfrom . import models, nowhere")
    assert names["A"] is Album
    assert names["models"].Album is Album
    assert names["nowhere"] is None


@pytest.mark.parametrize(
    ("code", "kind", "model"),
    [
        ("Album", "model", Album),
        ("Album()", "object", Album),
        ("Album.objects", "queryset", Album),
        ("Album.objects.filter(year=1965)", "queryset", Album),
        ("Album.objects.get()", "call", Album),
        ("await Album.objects.get()", "object", Album),
        ("await Album.objects.all()", "rows", Album),
        ("(await Album.objects.get()).artist", "object", Artist),
        ("len([])", None, None),
    ],
)
def test_the_type_of_an_expression(code: str, kind: str | None, model: Any) -> None:
    scope = Scope(names_of("from .models import Album"), None, {}, guarded=False)
    function = ast.parse(f"async def view():\n    {code}").body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    statement = function.body[0]
    assert isinstance(statement, ast.Expr)
    thing = scope.thing(statement.value)
    assert (thing and thing.kind, thing and thing.model) == (kind, model)


def test_the_attribute_that_getattr_reads() -> None:
    call = ast.parse("getattr(album, 'artist', None)", mode="eval").body
    assert isinstance(call, ast.Call)
    attribute = attribute_asked_for(call)
    assert attribute is not None
    assert ast.unparse(attribute) == "album.artist"
