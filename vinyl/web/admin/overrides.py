"""System checks for templates of a project that take the place of the admin's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core import checks
from django.template import engines
from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, nodes

from vinyl.web.templating import Jinja2

__all__ = ["UNUSED", "check_templates"]

OWN = Path(__file__).parent / "templates"

# Templates of Django's admin that vinyl's has no use for, and what to replace instead.
UNUSED = {
    "admin/404.html": "admin/error.html",
    "admin/500.html": "admin/error.html",
    "admin/change_form_actions.html": "admin/includes/form_actions.html",
    "admin/change_form_object_tools.html": (
        "the block object_tools_items of admin/change_form.html"
    ),
    "admin/change_list_object_tools.html": (
        "the block object_tools_items of admin/change_list.html"
    ),
    "admin/color_theme_toggle.html": "the block userlinks of admin/base_site.html",
    "admin/includes/object_delete_summary.html": "admin/delete_confirmation.html",
    "admin/nav_sidebar.html": "the block sidebar of admin/base_site.html",
    "admin/prepopulated_fields_js.html": "admin/includes/prepopulated.html",
    "admin/widgets/date.html": "the widget, by formfield_overrides",
    "admin/widgets/radio.html": "the widget, by formfield_overrides",
    "admin/widgets/time.html": "the widget, by formfield_overrides",
}


def check_templates(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.W143: a template or a block that the admin never renders.
    vinyl.W144: a template of the admin that is not in the language of Jinja2.
    Never switches.
    """
    found: list[checks.CheckMessage] = []
    for engine in engines.all():
        if isinstance(engine, Jinja2):
            found += _problems(engine.env)
    return found


def _problems(env: Environment) -> Iterator[checks.CheckMessage]:
    try:
        names = [n for n in env.list_templates() if n.startswith("admin/")]
    except TypeError:
        # The loader cannot list its templates.
        return
    for name in names:
        source, filename = _source(env, name)
        if filename is not None and OWN in Path(filename).parents:
            continue
        instead = UNUSED.get(name) or UNUSED.get(f"admin/{name.rsplit('/', 1)[1]}")
        if instead:
            yield checks.Warning(
                f"The template {name!r} is not used by vinyl's admin.",
                hint=f"Replace {instead} instead.",
                obj=filename,
                id="vinyl.W143",
            )
            continue
        try:
            blocks = _blocks_without_a_place(env, source, name)
        except TemplateSyntaxError as error:
            yield checks.Warning(
                f"The template {name!r} of the admin is not one of Jinja2: {error}.",
                hint="vinyl's admin renders it with Jinja2. Write it in Jinja2's "
                "language, with `_` for each `-` in names of blocks.",
                obj=filename,
                id="vinyl.W144",
            )
            continue
        for block in blocks:
            yield checks.Warning(
                f"The block {block!r} of the template {name!r} is never rendered: no "
                f"template that it extends has such a block.",
                hint="See docs/reference/admin-options.md for the blocks that there "
                "are.",
                obj=filename,
                id="vinyl.W143",
            )


def _source(env: Environment, name: str) -> tuple[str, str | None]:
    assert env.loader is not None
    source, filename, _ = env.loader.get_source(env, name)
    return source, filename


def _blocks_without_a_place(env: Environment, source: str, name: str) -> list[str]:
    """Return the outermost blocks of a template that none of its parents has."""
    template = env.parse(source, name)
    parent = _parent(template)
    if parent is None:
        return []
    known = _all_blocks(env, parent, {name})
    own = [node.name for node in template.body if isinstance(node, nodes.Block)]
    return [] if known is None else [block for block in own if block not in known]


def _parent(template: nodes.Template) -> str | None:
    for node in template.find_all(nodes.Extends):
        if isinstance(node.template, nodes.Const):
            return str(node.template.value)
    return None


def _all_blocks(env: Environment, name: str, seen: set[str]) -> set[str] | None:
    """Return the blocks of a template and of those it extends; None if unknown."""
    if name in seen:
        return None
    try:
        template = env.parse(_source(env, name)[0], name)
    except (TemplateNotFound, TemplateSyntaxError):
        return None
    blocks = {node.name for node in template.find_all(nodes.Block)}
    parent = _parent(template)
    if parent is None:
        return blocks
    above = _all_blocks(env, parent, {*seen, name})
    return None if above is None else blocks | above
