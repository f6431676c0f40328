"""What the admin's templates call, as `tags`: mostly what is behind Django's tags."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from django.conf import settings
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags import admin_list, admin_modify, admin_urls
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.forms import Media
from django.utils import formats, text, translation
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]
from django.utils.translation import gettext
from jinja2 import pass_context
from jinja2.runtime import Context

from vinyl.web.admin.static import files_of_django

__all__ = [
    "buttons",
    "capfirst",
    "change_link",
    "date_hierarchy",
    "form_errors",
    "kept",
    "kind",
    "language",
    "media",
    "moment",
    "other_parameters",
    "page_query",
    "pagination",
    "result_list",
    "rows",
    "some",
]

# How many of the things that a deletion takes along are listed, at each level.
LISTED = 100

date_hierarchy = admin_list.date_hierarchy
pagination = admin_list.pagination
result_list = admin_list.result_list


@pass_context
def buttons(context: Context) -> dict[str, Any]:
    """Which buttons a change form has: `show_save`, `show_delete_link` and so on."""
    variables: Any = context.get_all()
    result: Any = admin_modify.submit_row(variables).flatten()
    return result


@pass_context
def kept(context: Context, url: str) -> str:
    """*url* with the filters of the change list that the visitor came from."""
    variables: Any = context.get_all()
    return admin_urls.add_preserved_filters(
        variables, url, variables.get("is_popup"), variables.get("to_field")
    )


@pass_context
def change_link(context: Context, inline: Any) -> dict[str, str] | None:
    """
    The `url` and the `text` of a link to the page of the object of *inline*, a form of
    an inline. None where `show_change_link` is off, or where the model's own ModelAdmin
    lets the visitor neither change nor view the object.
    """
    options = inline.model_admin
    if not (options.show_change_link and options.has_registered_model):
        return None
    registered = options.admin_site.get_model_admin(options.model)
    request, original = context["request"], inline.original
    if registered.has_change_permission(request, original):
        text = gettext("Change")
    elif registered.has_view_permission(request, original):
        text = gettext("View")
    else:
        return None
    url = context["model_url"](registered.opts, "change", original.pk)
    if context.get("is_popup"):
        url += f"?{IS_POPUP_VAR}=1"
    return {"url": url, "text": text}


def form_errors(form: Any, shown: Collection[str] = ()) -> Any:
    """
    The errors of *form* that no field on the page shows: those of the form as a whole,
    and those of hidden fields but for the ones in *shown*.
    """
    errors = [*form.non_field_errors()]
    for field in form.hidden_fields():
        if field.name not in shown:
            words = gettext("(Hidden field %(name)s) %(error)s")
            errors += [words % {"name": field.name, "error": e} for e in field.errors]
    return form.error_class(errors, error_class="nonfield", renderer=form.renderer)


def rows(formset: Any) -> list[Any]:
    """The forms of an inline; not Django's model of one for scripts to copy."""
    model = formset.formset.empty_form.prefix
    return [one for one in formset if one.form.prefix != model]


def media(own: Any) -> list[Any]:
    """The tags for what a project's forms bring; not what Django's pages have."""
    # Before they are rendered: collected files have no address for one of Django's. A
    # list, since an asset with attributes equals its path and has another hash.
    missing = [*files_of_django()]
    css: Any = {
        medium: [path for path in paths if path not in missing]
        for medium, paths in own._css.items()
    }
    kept = Media(css=css, js=[path for path in own._js if path not in missing])
    return [*kept.render_css(), *kept.render_js()]


def moment(value: Any) -> str:
    """A date and time, in the time zone and the format of the visitor."""
    return formats.localize(template_localtime(value))


def other_parameters(changelist: Any) -> Iterator[tuple[str, str]]:
    """The parameters of the address that a new search keeps."""
    for name, values in changelist.filter_params.items():
        if name not in (SEARCH_VAR, PAGE_VAR, ERROR_FLAG):
            for value in values:
                yield name, value


def page_query(changelist: Any, number: int) -> str:
    return changelist.get_query_string({PAGE_VAR: number})


def some(items: list[Any], limit: int = LISTED) -> list[Any]:
    """The first *limit* of a nested list of what goes with a deletion."""
    # A list behind an item holds what is below it.
    texts = [i for i, item in enumerate(items) if isinstance(item, str)]
    if len(texts) <= limit:
        return items
    return [*islice(items, texts[limit])]


def capfirst(value: Any) -> Any:
    """*value* as text that starts with a capital letter; markup stays as it is."""
    return value if hasattr(value, "__html__") else text.capfirst(value)


def kind(entry: Any) -> str:
    """What a log entry tells of, as a class of CSS."""
    if entry.is_addition():
        return "addition"
    return "deletion" if entry.is_deletion() else "change"


def language() -> dict[str, str]:
    """The visitor's language: its code, and the direction that it is written in."""
    code = translation.get_language() or settings.LANGUAGE_CODE
    return {"code": code, "dir": "rtl" if translation.get_language_bidi() else "ltr"}
