"""How tests read source code for what it forgets to await."""

from __future__ import annotations

import ast
import textwrap

from vinyl.orm.lint.rules import find

IMPORTS = """\
import asyncio
from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404
from vinyl import web
from vinyl.orm import fetch, prefetch_related_objects, run, transaction
from vinyl.orm.models import Manager, Model, QuerySet
from . import models
from .models import Album, AlbumQuerySet, Artist, Biography, Memo, Stamped, Tag, Track
"""


def found(source: str) -> list[tuple[str, int, str]]:
    """Kind, line and code of what is found in *source*."""
    return [
        (one.kind, one.node.lineno, ast.unparse(one.node))
        for one in find(source, "tests.records.views", "tests.records")
    ]


def function(code: str, args: str = "album, pk", imports: str = "") -> str:
    """A module with *code*, the body of an `async def` with *args* if it has none."""
    code = textwrap.dedent(code)
    if "async def" not in code:
        code = f"async def view({args}):\n" + textwrap.indent(code, "    ")
    return IMPORTS + imports + code


def assert_found(
    kind: str, code: str, source: str, args: str = "album, pk", imports: str = ""
) -> None:
    """Assert that *code* is all that is found in *source*, where it says "# here"."""
    source = function(source, args, imports)
    line = 1 + source[: source.index("# here")].count("\n")
    assert found(source) == [(kind, line, code)]
