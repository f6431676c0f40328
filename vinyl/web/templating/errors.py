"""
Jinja2's errors about templates as Django's, with the attributes that Django's debug
page shows: where a missing template was looked for, and the line of the template.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

import jinja2
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.backends.jinja2 import get_exception_info
from jinja2.loaders import split_template_path

from vinyl.records import NamedTuple
from vinyl.web.http.redaction import safe_text

__all__ = ["djangos_errors", "place_in_template", "places"]

MISSING = "Source does not exist"


class Place(NamedTuple):
    """
    A place where a template was looked for, with the attributes of Django's `Origin`.

    Attributes:
        name: The path of the file, or the name that the loader looks for.
        loader_name: The class of the loader.
        template_name: The name of the template.
    """

    name: str
    loader_name: str
    template_name: str


@contextmanager
def djangos_errors(backend: Any) -> Iterator[None]:
    """
    Raise Jinja2's errors about templates as Django's, with the same traceback.

    Args:
        backend: Django's template backend, which has the environment as `env`.

    Raises:
        TemplateDoesNotExist, TemplateSyntaxError: Jinja2 raised its counterpart.

    Switches if the block does.
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
        # One error with the frames of both; chained, each would show only half of them.
        raise missing.with_traceback(error.__traceback__) from None
    except jinja2.TemplateSyntaxError as error:
        problem: Any = TemplateSyntaxError(
            f"{error.message} ({error.filename}, line {error.lineno})"
        )
        # Django strips the text before it counts lines. The zero-width spaces keep
        # blank lines at both ends.
        found: Any = error
        if found.source is not None:
            found.source = f"\u200b{found.source}\u200b"
        problem.template_debug = get_exception_info(found)
        raise problem.with_traceback(error.__traceback__) from None


def places(loader: Any, name: str) -> Iterator[tuple[Place, str]]:
    """
    Iterate over the places where *loader* looks for the template *name*, each with the
    reason why it is not there. Never switches.
    """
    kind = type(loader).__name__

    def place(where: object, why: str = MISSING) -> tuple[Place, str]:
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
                yield place(name, f"The loader has these prefixes: {known}")
        case jinja2.FileSystemLoader() | jinja2.PackageLoader():
            try:
                parts = split_template_path(name)
            except jinja2.TemplateNotFound:
                yield place(name, "The name points outside the template folders")
                return
            if isinstance(loader, jinja2.PackageLoader):
                folders = [PurePath(loader.package_name, loader.package_path)]
            else:
                folders = [PurePath(folder) for folder in loader.searchpath]
            for folder in folders:
                yield place(folder.joinpath(*parts))
            if not folders:
                yield place(name, "The loader has no folders")
        case None:
            yield Place(name, "Environment", name), "The environment has no loader"
        case _:
            yield place(name)


def place_in_template(
    error: BaseException, message: str | None = None
) -> dict[str, Any] | None:
    """
    Return the last line of a Jinja2 template in the traceback of *error*, and the lines
    around it, as Django's report shows them; None if there is none. Never switches.

    Args:
        message: The text that is shown for the error; None for its class and text.
    """
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        # Jinja2 replaces the frames of its compiled code with such frames.
        if "__jinja_exception__" in frame.f_globals:
            place = frame.f_code.co_filename, line
    if place is None:
        return None
    filename, line = place
    try:
        with open(filename, encoding="utf-8") as file:
            # Django strips the text before it counts lines.
            source = f"\u200b{file.read()}\u200b"
    except (OSError, ValueError):
        # There is no such file, or it has another encoding.
        return None
    if line > source.count("\n") + 1:
        # The file has changed since it was compiled.
        return None
    found: Any = SimpleNamespace(
        filename=filename,
        lineno=line,
        message=message or f"{type(error).__name__}: {safe_text(error)}",
        source=source,
    )
    return get_exception_info(found)
