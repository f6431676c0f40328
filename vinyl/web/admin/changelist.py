"""The rows of a change list: searched, filtered, sorted, a page of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views import main
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError
from django.db.models import ManyToOneRel, QuerySet
from django.db.models.constants import LOOKUP_SEP

__all__ = ["ChangeList"]

# In characters. Each word adds a condition for each field, and databases limit those.
MAX_SEARCH_LENGTH = 200


class SearchForm(main.ChangeListSearchForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[main.SEARCH_VAR] = forms.CharField(
            required=False, strip=False, max_length=MAX_SEARCH_LENGTH
        )


class ChangeList(main.ChangeList):
    """
    Django's ChangeList, with the same number of queries for any number of rows:
    relations in `list_display` are joined, with nullable and nested ones
    (`"album__artist"`), unless `list_select_related` names the relations to join.
    """

    search_form_class = SearchForm

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

    def get_filters(self, request: Any) -> Any:
        """
        Return the filters, as in Django.

        Raises:
            IncorrectLookupParameters: As for `get_results`.
        """
        with self._errors_of_the_query_string():
            return super().get_filters(request)

    def get_results(self, request: Any) -> None:
        """
        Count and fetch the rows.

        Raises:
            IncorrectLookupParameters: The query string has a value that the database
                cannot look up, such as the year 99999 or a text with a NUL.
        """
        with self._errors_of_the_query_string():
            super().get_results(request)
            # Otherwise the template would fetch them, outside of this block.
            len(self.result_list)

    @contextmanager
    def _errors_of_the_query_string(self) -> Iterator[None]:
        try:
            yield
        # An IndexError comes from a range with one end.
        except (ValueError, OverflowError, IndexError, DatabaseError) as error:
            if self.query or self.filter_params:
                raise IncorrectLookupParameters(error) from error
            raise
