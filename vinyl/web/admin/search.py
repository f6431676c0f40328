"""Search over all models of a site: one query for each, and a few results of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib.admin.views.main import SEARCH_VAR
from django.db import DatabaseError, transaction

from vinyl.web.admin.changelist import SearchForm
from vinyl.web.admin.interrupted import is_away

__all__ = ["MAX_RESULTS", "Found", "search"]

# Of one model.
MAX_RESULTS = 5


@dataclass(frozen=True)
class Found:
    """
    What was found of one model.

    Args:
        opts: The `_meta` of the model.
        objects: The first few.
        query: The query string that shows all of them in the change list; empty if
            there are no more.
    """

    opts: Any
    objects: list[Any]
    query: str


def search(site: Any, request: Any) -> tuple[Any, list[Found]]:
    """
    Return the form of the search, whose errors may be shown, and what was found: of
    models that have `search_fields` and `in_site_search`, and that the visitor may
    view.

    Args:
        site: The AdminSite.
        request: Its query string has the words as `q`.

    Switches to the event loop.
    """
    form = SearchForm(request.GET)
    if not form.is_valid():
        return form, []
    words = form.cleaned_data[SEARCH_VAR]
    return form, [*_found(site, request, words)] if words.strip() else []


def _found(site: Any, request: Any, words: str) -> Iterator[Found]:
    for model in filter(site.is_registered, apps.get_models()):
        model_admin = site.get_model_admin(model)
        if not model_admin.in_site_search or not model_admin.get_search_fields(request):
            continue
        if not model_admin.has_view_or_change_permission(request):
            continue
        queryset = _matching(model_admin, request, words)
        try:
            with _sparing_transactions(queryset.db):
                objects = [*queryset[: MAX_RESULTS + 1]]
        except (ValueError, OverflowError, DatabaseError) as error:
            if is_away(error):
                # "None available" would be wrong.
                raise
            # A word that this model's columns cannot be compared with.
            continue
        if objects:
            more = len(objects) > MAX_RESULTS
            query = urlencode({SEARCH_VAR: words}) if more else ""
            yield Found(model._meta, objects[:MAX_RESULTS], query)


def _sparing_transactions(alias: str) -> AbstractContextManager[Any]:
    """A savepoint where a query that PostgreSQL refuses would end a transaction."""
    if transaction.get_connection(alias).in_atomic_block:
        return transaction.atomic(using=alias)
    return nullcontext()


def _matching(model_admin: Any, request: Any, words: str) -> Any:
    """The objects that match, in an order that needs no sorting of the table."""
    every = model_admin.get_queryset(request)
    found, has_duplicates = model_admin.get_search_results(request, every, words)
    if has_duplicates:
        found = every.filter(pk__in=found.order_by().values("pk"))
    joined = model_admin.get_list_select_related(request)
    if joined is False:
        # A `__str__` often names them.
        fields = model_admin.opts.concrete_fields
        joined = [field.name for field in fields if field.many_to_one]
    if joined:
        found = found.select_related(*([] if joined is True else joined))
    return found.order_by("pk")
