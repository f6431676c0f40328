"""
Templates of packages in Django's language inside vinyl's pages, and vinyl's templates
inside the pages of packages.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.admin.templatetags.admin_list import register
from django.template import TemplateDoesNotExist, engines
from django.template.loader import get_template
from django.utils.translation import gettext
from jinja2 import TemplateNotFound, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

__all__ = ["has_djangos_engine", "inline_formset", "list_filter", "replace_filter_tag"]

DJANGO = "django.template.backends.django.DjangoTemplates"


def has_djangos_engine() -> bool:
    """
    Return whether `TEMPLATES` has an engine for Django's language. Never switches.
    """
    return any(engine.get("BACKEND") == DJANGO for engine in settings.TEMPLATES)


@pass_context
def list_filter(context: Context, spec: Any) -> Markup:
    """
    Return the HTML of *spec*, a filter of a change list, from its `template`.

    Raises:
        TemplateNotFound: No engine of `TEMPLATES` has the template.
    """
    return _included(
        context,
        spec.template,
        {"spec": spec},
        # What Django's tag `admin_list_filter` gives to it.
        lambda: {"title": spec.title, "choices": list(spec.choices(context["cl"]))},
    )


@pass_context
def inline_formset(context: Context, inline: Any) -> Markup:
    """
    Return the HTML of *inline*, the formset of an inline, from the `template` of its
    options.

    Raises:
        TemplateNotFound: No engine of `TEMPLATES` has the template.
    """
    variables = {"inline_admin_formset": inline}
    return _included(context, inline.opts.template, variables, dict)


def _included(
    context: Context, name: str, variables: dict[str, Any], more: Any
) -> Markup:
    """
    Return the template *name* with the variables of the page and others.

    Args:
        context: The page's.
        name: The name of the template, in any engine's folders.
        variables: What every template gets, in addition.
        more: Gives what a template in Django's language gets, in addition.
    """
    try:
        template = context.environment.get_template(name)
    except TemplateNotFound:
        found = _of_django(name)
        if found is None:
            raise
        given = {**context.get_all(), **variables, **more()}
        return Markup(found.render(given, context["request"]))
    return Markup(template.render({**context.get_all(), **variables}))


def _of_django(name: str) -> Any:
    for alias, entry in engines.templates.items():
        if entry["BACKEND"] == DJANGO:
            try:
                return engines[alias].get_template(name)
            except TemplateDoesNotExist:
                continue
    return None


def replace_filter_tag(tags: Any) -> None:
    """
    Let Django's tag `admin_list_filter`, in the change list of a package, give a filter
    what vinyl's templates need, too. Never switches.

    Args:
        tags: The functions for vinyl's templates.
    """

    def admin_list_filter(cl: Any, spec: Any) -> str:
        variables = {
            "title": spec.title,
            "choices": list(spec.choices(cl)),
            "spec": spec,
            "cl": cl,
            # As AdminSite.each_context() has them.
            "_": gettext,
            "tags": tags,
        }
        return get_template(spec.template).render(variables)

    register.simple_tag(admin_list_filter)
