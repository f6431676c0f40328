"""The objects that a field for related objects completes, as JSON and as a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import EmptyPage, Page, Paginator
from django.db import DatabaseError
from django.http import QueryDict
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from vinyl.web.admin.filters import MAX_SEARCH_LENGTH
from vinyl.web.admin.held import LOOKUP, kept_fields
from vinyl.web.admin.interrupted import is_away

__all__ = ["CompletionView", "LookupView"]


class UncountedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at runtime
    """Pages that know whether there is another one, without counting the rows."""

    # Until a page has been fetched.
    count: Any = sys.maxsize

    def page(self, number: Any) -> Any:
        number = self.validate_number(number)
        start = (number - 1) * self.per_page
        rows = [*self.object_list[start : start + self.per_page + 1]]
        if not rows and number > 1:
            raise EmptyPage(gettext("That page contains no results"))
        self.count = start + len(rows)
        vars(self).pop("num_pages", None)
        return Page(rows[: self.per_page], number, self)


class CompletionView(AutocompleteJsonView):
    """
    Django's AutocompleteJsonView, with its permissions, its `search_fields`,
    `to_field`, `limit_choices_to` and its answer. Its pages are never counted.
    """

    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with _refusing_bad_terms():
            return super().get(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        queryset = super().get_queryset()
        # Pages of rows without an order could repeat some and leave others out.
        return queryset if queryset.ordered else queryset.order_by("pk")

    def get_paginator(self, queryset: Any, per_page: int, *args: Any, **kw: Any) -> Any:
        return UncountedPaginator(queryset, per_page, *args, **kw)

    def process_request(self, request: Any) -> Any:
        term, *rest = super().process_request(request)
        if len(term) > MAX_SEARCH_LENGTH:
            raise BadRequest(
                f"A search has {len(term)} characters; at most {MAX_SEARCH_LENGTH} "
                f"are allowed."
            )
        return (term, *rest)


class LookupView(CompletionView):
    """
    The page on which a visitor without scripts searches for a related object. It takes
    the place of the page with the form, whose fields it keeps, and sends them back
    there with the choice.
    """

    http_method_names = ["post"]

    def post(self, request: Any) -> Any:
        """
        Show the results. Switches to the event loop.

        Raises:
            PermissionDenied: The visitor may not view the objects.
            BadRequest: The database cannot search for the text.
        """
        asked = request.POST.get(LOOKUP, "")
        request.GET = QueryDict(asked, mutable=True)
        request.GET["term"] = request.POST.get("_term", "")
        request.GET["page"] = request.POST.get("_page", "1")
        with _refusing_bad_terms():
            found = self.process_request(request)
            self.term, self.model_admin, self.source_field, to_field = found
            if not self.has_perm(request):
                raise PermissionDenied
            self.object_list = self.get_queryset()
            page = self.get_context_data()["page_obj"]
            results = [self.serialize_result(one, to_field) for one in page]
        opts = self.model_admin.opts
        site: Any = self.admin_site
        context = {
            **site.each_context(request),
            "title": gettext("Select %s") % opts.verbose_name,
            "asked": asked,
            "field": request.GET.get("name", ""),
            "is_popup": IS_POPUP_VAR in request.POST,
            "kept": [*kept_fields(request.POST)],
            "lost_files": bool(request.FILES),
            "next_page": page.number + 1 if page.has_next() else None,
            "opts": opts,
            "results": results,
            "several": self.source_field.many_to_many,
            "term": self.term,
        }
        return TemplateResponse(request, "admin/lookup.html", context)


@contextmanager
def _refusing_bad_terms() -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError, DatabaseError) as error:
        if is_away(error):
            raise
        raise BadRequest("The database cannot search for this.") from error
