"""`vinyl routes`: the URLs of the project and their views."""

from __future__ import annotations

import inspect
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.management.base import BaseCommand, CommandError
from django.urls import URLPattern, URLResolver, get_resolver

from vinyl.web.routing.mounted_apps import Mounted

__all__ = ["Command"]

COLUMNS = ("path", "name", "view", "kind", "methods")


class Command(BaseCommand):
    """List the project's routes as a table or as JSON."""

    help = "Lists the project's routes, each with its path, name, view and kind."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "filter",
            nargs="?",
            default="",
            help="Show only routes whose path, name or view contains this text.",
        )
        parser.add_argument(
            "--format",
            choices=["table", "json"],
            default="table",
            help='Output format: "table" (the default) or "json".',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["filter"].lower()
        routes = [
            route
            for route in found_routes(get_resolver())
            if wanted in f"{route['path']}\n{route['name']}\n{route['view']}".lower()
        ]
        if options["format"] == "json":
            self.stdout.write(json.dumps(routes, indent=2))
            return
        if not routes:
            raise CommandError(
                f"No route contains {options['filter']!r} in its path, name or view."
                if wanted
                else "The project has no routes: its urlpatterns are empty."
            )
        rows = [[cell_of(route[column]) for column in COLUMNS] for route in routes]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.stdout.write("  ".join(cells).rstrip())


def found_routes(
    resolver: URLResolver, before: str = "/", spaces: tuple[str, ...] = ()
) -> Iterator[dict[str, Any]]:
    """Yield a description of each pattern below *resolver*, in matching order."""
    for pattern in resolver.url_patterns:
        path = before + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLResolver):
            inner = (*spaces, pattern.namespace) if pattern.namespace else spaces
            yield from found_routes(pattern, path, inner)
        else:
            name = ":".join([*spaces, pattern.name]) if pattern.name else None
            yield {"path": path, "name": name, **described(pattern)}


def described(pattern: URLPattern) -> dict[str, Any]:
    view: Any = pattern.callback
    if isinstance(view, Mounted):
        app = view.app if inspect.isroutine(view.app) else type(view.app)
        return {"view": name_of(app), "kind": "mounted app", "methods": None}
    if getattr(view, "is_websocket", False):
        return {"view": name_of(view), "kind": "websocket", "methods": None}
    cls = getattr(view, "view_class", None)
    return {
        "view": name_of(cls or view),
        "kind": "async" if iscoroutinefunction(view) else "plain",
        "methods": methods_of(cls) if cls else None,
    }


def name_of(view: Any) -> str:
    """Return the dotted path of a view."""
    view = inspect.unwrap(view)
    # The function of a partial.
    view = getattr(view, "func", view)
    if not hasattr(view, "__qualname__"):
        view = type(view)
    return f"{view.__module__}.{view.__qualname__}"


def methods_of(cls: Any) -> list[str]:
    """Return the HTTP methods of a class-based view."""
    names = {name for name in cls.http_method_names if hasattr(cls, name)}
    if "get" in names and "head" in cls.http_method_names:
        names.add("head")
    return sorted(name.upper() for name in names)


def cell_of(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else value or "-"
