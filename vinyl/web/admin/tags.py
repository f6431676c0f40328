"""Functions for the admin's templates, as `tags`: mostly those of Django's tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from itertools import islice, zip_longest
from typing import Any

from django.conf import settings
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags import admin_list, admin_modify, admin_urls
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.forms import Media
from django.utils import formats, text, translation
from django.utils.html import escape, strip_tags
from django.utils.safestring import mark_safe
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]
from django.utils.translation import gettext, ngettext
from django.utils.translation.trans_real import DjangoTranslation
from jinja2 import pass_context
from jinja2.runtime import Context

from vinyl.web.admin.columns import columns, result_list
from vinyl.web.admin.exporting import FORMATS
from vinyl.web.admin.filters import finder
from vinyl.web.admin.filters import other_parameters as parameters_beside
from vinyl.web.admin.foreign import inline_formset, list_filter
from vinyl.web.admin.periods import date_hierarchy
from vinyl.web.admin.related import completion
from vinyl.web.admin.static import files_of_django, with_jquery
from vinyl.web.admin.tabs import tabs

__all__ = [
    "buttons",
    "capfirst",
    "change_link",
    "columns",
    "completion",
    "correct_errors",
    "date_hierarchy",
    "export_formats",
    "finder",
    "form_errors",
    "header_labels",
    "is_group",
    "inline_formset",
    "js_gettext",
    "kept",
    "kind",
    "labelled",
    "language",
    "list_filter",
    "localized",
    "media",
    "moment",
    "other_parameters",
    "page_query",
    "pagination",
    "parameters_beside",
    "prepopulated",
    "result_list",
    "row_id",
    "rows",
    "some",
    "tabs",
]

# How many of the objects that a deletion includes are listed, at each level.
MAX_LISTED = 100
# The length of a prepopulated field that has no limit of its own.
MAX_PREPOPULATED = 50


@pass_context
def buttons(context: Context) -> dict[str, Any]:
    """
    Return the flags of the buttons of a change form: `show_save`, `show_close` and so
    on.
    """
    variables: Any = context.get_all()
    result: Any = admin_modify.submit_row(variables).flatten()
    return result


@pass_context
def kept(context: Context, url: str) -> str:
    """Return *url* with the filters of the previous change list."""
    variables: Any = context.get_all()
    return admin_urls.add_preserved_filters(
        variables, url, variables.get("is_popup"), variables.get("to_field")
    )


@pass_context
def change_link(context: Context, inline: Any) -> dict[str, str] | None:
    """
    Return the `url` and the `text` of a link to the object of *inline*, a form of an
    inline. None if `show_change_link` is off, or if the model's own ModelAdmin does not
    let the visitor change or view the object.
    """
    options = inline.model_admin
    if not (options.show_change_link and options.has_registered_model):
        return None
    registered = options.admin_site.get_model_admin(options.model)
    request, original = context["request"], inline.original
    if original.pk is None:
        # Deleted by somebody else while the form was open.
        return None
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


def export_formats() -> list[str]:
    """Return the kinds of files that a list can be exported to."""
    return [*FORMATS]


def form_errors(form: Any, shown: Collection[str] = ()) -> Any:
    """
    Return the errors of *form* that no field on the page shows: those of the form as a
    whole, and those of hidden fields that are not in *shown*.
    """
    errors = [*form.non_field_errors()]
    for field in form.hidden_fields():
        if field.name not in shown:
            words = gettext("(Hidden field %(name)s) %(error)s")
            errors += [words % {"name": field.name, "error": e} for e in field.errors]
    return form.error_class(errors, error_class="nonfield", renderer=form.renderer)


def prepopulated(form: Any) -> Iterator[dict[str, Any]]:
    """
    Yield, for each field of `prepopulated_fields`, the `id` of its input and the ids
    that it is made `from`, the `length` of the longest value, and whether it may have
    `unicode` letters.
    """
    for one in form.prepopulated_fields:
        bound = one["field"]
        yield {
            "id": bound.auto_id,
            "from": " ".join(source.auto_id for source in one["dependencies"]),
            "length": getattr(bound.field, "max_length", None) or MAX_PREPOPULATED,
            "unicode": getattr(bound.field, "allow_unicode", False),
        }


def is_group(bound: Any) -> bool:
    """Return whether a field has several inputs, which belong into a field set."""
    widget = bound.field.widget
    # The one that has links to add and change related objects is not the input.
    return bool(getattr(widget, "widget", widget).use_fieldset)


def js_gettext(message: str) -> str:
    """Return the translation of a text that Django has in its scripts only."""
    return _js_catalog(translation.get_language() or settings.LANGUAGE_CODE)(message)


@cache
def _js_catalog(language: str) -> Callable[[str], str]:
    return DjangoTranslation(language, domain="djangojs").gettext


def rows(formset: Any) -> tuple[list[Any], Any]:
    """
    Return the forms of an inline, and the empty one that scripts copy for a new row:
    None where the visitor may not add one.
    """
    forms = [*formset]
    empty = forms.pop() if forms and _is_empty(forms[-1]) else None
    return forms, empty


def row_id(inline: Any) -> str:
    """Return the id of a row on the page, such as "tracks-0"; Django's has the same."""
    prefix: str = inline.formset.prefix
    return f"{prefix}-empty" if _is_empty(inline) else str(inline.form.prefix)


def _is_empty(inline: Any) -> bool:
    # The number of the other forms takes the place of "__prefix__".
    return bool(inline.form.prefix == inline.formset.add_prefix("__prefix__"))


def media(own: Any) -> list[Any]:
    """
    Return the tags for the media of a project's forms, without Django's files: but with
    the libraries of Django that they name, such as jQuery.
    """
    # Before they are rendered: collected files have no address for one of Django's. A
    # list, since an asset with attributes equals its path and has another hash.
    missing = [*files_of_django()]
    css: Any = {
        medium: [path for path in paths if path not in missing]
        for medium, paths in own._css.items()
    }
    js = with_jquery([path for path in own._js if path not in missing])
    kept = Media(css=css, js=js)
    return [*kept.render_css(), *kept.render_js()]


def localized(value: Any) -> Any:
    """Return a number, date or time in the visitor's format; others as they are."""
    return formats.localize(template_localtime(value), use_l10n=True)


def moment(value: Any) -> str:
    """Return a date and time in the visitor's time zone and format."""
    return formats.localize(template_localtime(value))


def other_parameters(changelist: Any) -> Iterator[tuple[str, str]]:
    """Yield the parameters of the URL that a new search keeps."""
    for name, values in changelist.filter_params.items():
        if name not in (SEARCH_VAR, PAGE_VAR, ERROR_FLAG):
            for value in values:
                yield name, value


def pagination(changelist: Any) -> dict[str, Any]:
    """
    Return Django's variables of the pages of a list, with the query strings of the
    `previous` and `next` page; None where there is none.
    """
    pages: dict[str, Any] = admin_list.pagination(changelist)
    required, number = pages["pagination_required"], changelist.page_num
    if hasattr(changelist, "next_page"):
        previous, following = changelist.previous_page(), changelist.next_page()
    else:
        # A project's own class.
        last = changelist.paginator.num_pages
        previous = page_query(changelist, number - 1) if number > 1 else None
        following = page_query(changelist, number + 1) if number < last else None
    return {
        **pages,
        "previous": previous if required else None,
        "next": following if required else None,
    }


def page_query(changelist: Any, number: int) -> str:
    """Return the query string of another page of the list."""
    return changelist.get_query_string({PAGE_VAR: number})


def some(items: list[Any], limit: int | None = None) -> list[Any]:
    """
    Return the first items of a nested list of what is deleted: *limit*, or 100 if it is
    None.
    """
    limit = MAX_LISTED if limit is None else limit
    # A list after an item contains the items below it.
    texts = [i for i, item in enumerate(items) if isinstance(item, str)]
    if len(texts) <= limit:
        return items
    return [*islice(items, texts[limit])]


def capfirst(value: Any) -> Any:
    """Return *value* with a capital letter at its start; markup is not changed."""
    return value if hasattr(value, "__html__") else text.capfirst(value)


def header_labels(headers: Iterable[Any]) -> list[str]:
    """
    Return the text of each of *headers*, those of a change list, as an attribute. The
    column of checkboxes has none.
    """
    return [
        ""
        if "action-checkbox" in header.get("class_attrib", "")
        else escape(strip_tags(str(capfirst(header["text"]))))
        for header in headers
    ]


def labelled(row: Iterable[str], labels: Iterable[str]) -> str:
    """
    Return the markup of *row*, the cells of a change list, each with the label of its
    column for narrow windows, where each row is a card.

    Args:
        row: The markup of each cell.
        labels: As `header_labels()` returns them.
    """
    # The key of a row that is editable has no header.
    cells = zip_longest(row, labels, fillvalue="")
    # One of "<td" and "<th".
    return mark_safe(
        "".join(f'{cell[:3]} data-label="{text}"{cell[3:]}' for cell, text in cells)
    )


def kind(entry: Any) -> str:
    """Return the kind of a log entry, as a class of CSS."""
    if entry.is_addition():
        return "addition"
    return "deletion" if entry.is_deletion() else "change"


def correct_errors(count: int) -> str:
    """Return what a form says that has *count* errors."""
    one, many = "Please correct the error below.", "Please correct the errors below."
    return ngettext(one, many, count)


def language() -> dict[str, str]:
    """Return the visitor's language: its code, and the direction of its writing."""
    code = translation.get_language() or settings.LANGUAGE_CODE
    return {"code": code, "dir": "rtl" if translation.get_language_bidi() else "ltr"}
