"""The rows of a change list: searched, filtered, sorted, a page of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.views import main
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.paginator import InvalidPage
from django.db import DatabaseError
from django.db.models import ManyToOneRel, QuerySet
from django.db.models.constants import LOOKUP_SEP

from vinyl.web.admin.counting import count, estimate, same_rows
from vinyl.web.admin.crowds import share_crowds
from vinyl.web.admin.filters import FIND_VAR, MAX_SEARCH_LENGTH
from vinyl.web.admin.interrupted import is_away
from vinyl.web.admin.peers import fetch_together
from vinyl.web.admin.preferences import Preferences
from vinyl.web.admin.seeking import rows_after, rows_before
from vinyl.web.templating.links import reverse

__all__ = ["ChangeList", "SearchForm"]

# The primary key of the row that a page begins after, or ends before. Beside the number
# of the page, which counts if there is no such row any more.
AFTER_VAR = "_after"
BEFORE_VAR = "_before"


class SearchForm(main.ChangeListSearchForm):
    """The words of a search, as `q`: at most 200 characters, without NULs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[main.SEARCH_VAR] = forms.CharField(
            required=False, strip=False, max_length=MAX_SEARCH_LENGTH
        )


class ChangeList(main.ChangeList):
    """
    Django's ChangeList, for tables of any size. Counts stop at the `count_limit` of the
    ModelAdmin, and the next page is found by the key of the last row.

    It makes the same number of queries for any number of rows: relations in
    `list_display` are joined, with nullable and nested ones (`"album__artist"`), unless
    `list_select_related` names the relations to join; those that other columns read are
    fetched or counted for all rows together.
    """

    search_form_class = SearchForm

    # What the filters were made of, and what Django returns of them.
    _filters: tuple[Any, Any] | None = None

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        # Names that columns.py leaves out where it may.
        hidden = Preferences.of(request).hidden
        self.hidden_columns = frozenset(hidden.get(self.opts.label_lower, ()))

    def apply_select_related(self, qs: QuerySet[Any]) -> QuerySet[Any]:
        if self.list_select_related is False:
            relations = [*filter(None, map(self._relation, self.list_display))]
            return qs.select_related(*relations) if relations else qs
        return super().apply_select_related(qs)

    def _relation(self, column: Any) -> str:
        """Return the foreign keys that *column* starts with; empty without any."""
        if not isinstance(column, str) or hasattr(self.model_admin, column):
            return ""
        path: list[str] = []
        opts = self.lookup_opts
        for name in column.split(LOOKUP_SEP):
            try:
                field = opts.get_field(name)
            except FieldDoesNotExist:
                break
            # A column "artist_id" is in the row already.
            if not isinstance(field.remote_field, ManyToOneRel) or name != field.name:
                break
            path.append(name)
            opts = field.remote_field.model._meta
        return LOOKUP_SEP.join(path)

    def url_for_result(self, result: Any) -> str:
        """Return the URL of the form of *result*, as Django does. Never switches."""
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_change",
            args=[quote(getattr(result, self.pk_attname))],
            current_app=self.model_admin.admin_site.name,
        )

    def get_query_string(
        self, new_params: Any = None, remove: Iterable[str] | None = None
    ) -> str:
        """Return a query string of the list, without the place of this page."""
        return super().get_query_string(
            new_params, [*(remove or ()), AFTER_VAR, BEFORE_VAR]
        )

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return the parameters that filter, without those that find choices."""
        found = super().get_filters_params(params)
        return {n: v for n, v in found.items() if not n.startswith(FIND_VAR)}

    def get_filters(self, request: Any) -> Any:
        """
        Return the filters, as in Django.

        Raises:
            IncorrectLookupParameters: As for `get_results`.
        """
        for name in (AFTER_VAR, BEFORE_VAR):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        # Django asks for them again to count the choices of each one.
        made_of = (request, {**self.params}, {**self.filter_params})
        if self._filters is None or self._filters[0] != made_of:
            with self._errors_of_the_query_string(request):
                self._filters = (made_of, super().get_filters(request))
        return self._filters[1]

    def get_results(self, request: Any) -> None:
        """
        Count and fetch the rows.

        Raises:
            IncorrectLookupParameters: The query string has a value that the database
                cannot look up, such as the year 99999 or a text with a NUL.
        """
        with self._errors_of_the_query_string(request):
            self._count(request)
            # Here, since the template would fetch them outside of this block.
            self._fetch(request)
        fetch_together(self.result_list)
        if request.method == "GET":
            share_crowds(self.result_list)

    def _count(self, request: Any) -> None:
        admin: Any = self.model_admin
        paginator = admin.get_paginator(request, self.queryset, self.list_per_page)
        limit = getattr(paginator, "limit", None)
        shown = full = paginator.count
        is_exact = getattr(shown, "is_exact", True)
        if not same_rows(self.queryset, self.root_queryset):
            full = None
        elif not is_exact:
            shown = full = self._estimated(shown)
        if full is None and admin.show_full_result_count:
            full = count(self.root_queryset, limit)
            if not full.is_exact:
                full = self._estimated(full)
        self.paginator = paginator
        self.result_count = shown
        self.show_full_result_count = admin.show_full_result_count
        self.full_result_count = full if admin.show_full_result_count else None
        # Without a count there may be rows.
        self.show_admin_actions = not admin.show_full_result_count or bool(full)
        self.can_show_all = is_exact and shown <= self.list_max_show_all
        self.multi_page = shown > self.list_per_page

    def _estimated(self, at_least: Any) -> Any:
        number = estimate(self.root_queryset)
        # An estimate from before most rows were added is lower.
        return at_least if number is None or number < at_least else number

    def _fetch(self, request: Any) -> None:
        self.has_next = self.has_previous = False
        rows = self.queryset._chain()
        if self.multi_page and not (self.show_all and self.can_show_all):
            rows._result_cache = self._page(request)
        self.result_list = rows
        len(rows)

    def _page(self, request: Any) -> list[Any]:
        """The rows of one page of several, by key if the URL has one."""
        after, before = request.GET.get(AFTER_VAR), request.GET.get(BEFORE_VAR)
        size, number = self.list_per_page, self.page_num
        try:
            self.paginator.validate_number(number)
        except InvalidPage as error:
            raise IncorrectLookupParameters(error) from error
        self.has_previous = number > 1
        if before is not None and number > 1:
            beyond = rows_before(self.queryset, self.root_queryset, before)
            page = [] if beyond is None else [*beyond[:size]]
            # With fewer rows it is not the page of this number any more.
            if len(page) == size:
                self.has_next = True
                return page[::-1]
        elif after is not None and number > 1:
            beyond = rows_after(self.queryset, self.root_queryset, after)
            if beyond is not None:
                page = [*beyond[: size + 1]]
                self.has_next = len(page) > size
                return page[:size]
        start = (number - 1) * size
        page = [*self.queryset[start : start + size + 1]]
        if not page and number > 1:
            raise IncorrectLookupParameters(f"There is no page {number}.")
        self.has_next = len(page) > size
        return page[:size]

    def next_page(self) -> str | None:
        """Return the query string of the next page; None if this is the last one."""
        return self._neighbour(self.page_num + 1, AFTER_VAR) if self.has_next else None

    def previous_page(self) -> str | None:
        """Return the query string of the page before; None if this is the first one."""
        if not self.has_previous:
            return None
        return self._neighbour(self.page_num - 1, BEFORE_VAR)

    def _neighbour(self, number: int, name: str) -> str:
        parameters = {main.PAGE_VAR: number}
        rows = [*self.result_list]
        if number > 1 and rows:
            parameters[name] = rows[-1 if name == AFTER_VAR else 0].pk
        return self.get_query_string(parameters)

    @contextmanager
    def _errors_of_the_query_string(self, request: Any) -> Iterator[None]:
        try:
            yield
        # An IndexError comes from a range with one end.
        except (
            ValueError,
            OverflowError,
            IndexError,
            ValidationError,
            DatabaseError,
        ) as error:
            if is_away(error):
                raise
            if self.query or self.filter_params or len(request.GET):
                raise IncorrectLookupParameters(error) from error
            raise
