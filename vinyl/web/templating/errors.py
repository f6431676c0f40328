"""
Jinja2's errors about templates as Django's, with what Django's pages show of them:
where a missing template was looked for, and the line of the template that is at fault.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, NamedTuple

import jinja2
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.backends.jinja2 import get_exception_info
from jinja2.loaders import split_template_path

from vinyl.web.http.redaction import safe_text

__all__ = ["djangos_errors", "place_in_template", "places"]

NOT_THERE = "Source does not exist"


class Place(NamedTuple):
    """
    Somewhere that a template was looked for, as Django's pages show it.

    Attributes:
        name: The path of the file, or the name that the loader was asked for.
        loader_name: The class of the loader.
        template_name: What the template was asked for as.
    """

    name: str
    loader_name: str
    template_name: str


@contextmanager
def djangos_errors(backend: Any) -> Iterator[None]:
    """
    Raise Jinja2's errors about templates as Django's, which come from the same lines.
    """
    try:
        yield
    except jinja2.TemplateNotFound as error:
        tried: Any = [
            found
            for name in error.templates
            for found in places(backend.env.loader, str(name))
        ]
        missing: Any = TemplateDoesNotExist(str(error), tried, backend)
        if place := place_in_template(error, str(error)):
            missing.template_debug = place
        # One error with the frames of both: told apart, each would be half of it.
        raise missing.with_traceback(error.__traceback__) from None
    except jinja2.TemplateSyntaxError as error:
        problem: Any = TemplateSyntaxError(
            f"{error.message} ({error.filename}, line {error.lineno})"
        )
        # The debug page shows the lines around it. Django strips the text before it
        # counts lines, so blank ones at the ends have to look like text.
        found: Any = error
        if found.source is not None:
            found.source = f"\u200b{found.source}\u200b"
        problem.template_debug = get_exception_info(found)
        raise problem.with_traceback(error.__traceback__) from None


def places(loader: Any, name: str) -> Iterator[tuple[Place, str]]:
    """Where *loader* looks for the template called *name*, and why it is not there."""
    kind = type(loader).__name__

    def place(where: object, why: str = NOT_THERE) -> tuple[Place, str]:
        return Place(str(where), kind, name), why

    match loader:
        case jinja2.ChoiceLoader():
            for inner in loader.loaders:
                yield from places(inner, name)
        case jinja2.PrefixLoader():
            prefix, delimiter, rest = name.partition(loader.delimiter)
            if delimiter and prefix in loader.mapping:
                yield from places(loader.mapping[prefix], rest)
            else:
                known = ", ".join(map(repr, loader.mapping)) or "none"
                yield place(name, f"The prefix is none of its prefixes: {known}")
        case jinja2.FileSystemLoader() | jinja2.PackageLoader():
            try:
                parts = split_template_path(name)
            except jinja2.TemplateNotFound:
                yield place(name, "The name leads outside its folders")
                return
            if isinstance(loader, jinja2.PackageLoader):
                folders = [PurePath(loader.package_name, loader.package_path)]
            else:
                folders = [PurePath(folder) for folder in loader.searchpath]
            for folder in folders:
                yield place(folder.joinpath(*parts))
            if not folders:
                yield place(name, "It has no folders")
        case None:
            yield Place(name, "Environment", name), "It has no loader"
        case _:
            yield place(name)


def place_in_template(
    error: BaseException, message: str | None = None
) -> dict[str, Any] | None:
    """
    The line of the Jinja2 template that *error* passed last, with its surroundings, as
    Django's report shows it; None if it passed none.

    Args:
        message: What is shown of the error; its class and text unless given.
    """
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        # Jinja2 puts such frames in the place of its compiled code's.
        if "__jinja_exception__" in frame.f_globals:
            place = frame.f_code.co_filename, line
    if place is None:
        return None
    filename, line = place
    try:
        with open(filename, encoding="utf-8") as file:
            # As it is stripped before its lines are counted.
            source = f"\u200b{file.read()}\u200b"
    except (OSError, ValueError):
        # There is none, or it is written in another encoding.
        return None
    if line > source.count("\n") + 1:
        # It is not the text any more that was compiled.
        return None
    found: Any = SimpleNamespace(
        filename=filename,
        lineno=line,
        message=message or f"{type(error).__name__}: {safe_text(error)}",
        source=source,
    )
    return get_exception_info(found)
