"""The options of a ModelAdmin that concern its change list: Django's, and vinyl's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import model_format_dict
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from vinyl.bridge.mode import dual
from vinyl.web.admin import columns
from vinyl.web.admin.column_checks import check_columns
from vinyl.web.admin.counting import BoundedPaginator
from vinyl.web.admin.deletion import preview
from vinyl.web.admin.exporting import FORMATS, exported
from vinyl.web.admin.import_page import import_page
from vinyl.web.admin.preferences import Preferences
from vinyl.web.admin.progress import streamed
from vinyl.web.admin.reauthentication import guard

__all__ = ["ListOptions"]


class ListOptions(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at runtime
    """What vinyl's ModelAdmin adds for lists, deletions and actions of any size."""

    paginator = BoundedPaginator
    # Rows of a change list are counted up to this number, or all of them if it is None.
    count_limit: int | None = 10_000

    def get_paginator(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        paginator = super().get_paginator(request, *args, **kwargs)
        if isinstance(paginator, BoundedPaginator):
            limit = self.count_limit
            if limit is not None:
                # Enough to know whether there are more rows than one page shows.
                limit = max(limit, self.list_max_show_all, self.list_per_page)
            paginator.limit = limit
        return paginator

    # What an export contains: names such as in `list_display`. None for the key and
    # what the list shows, without the columns that the visitor hides.
    export_fields: Sequence[Any] | None = None

    @dual
    def has_export_permission(self, request: Any) -> bool:
        """
        Return whether the visitor may export rows: whoever may view them. May switch.
        """
        return self.has_view_or_change_permission(request)

    def get_export_fields(self, request: Any) -> list[Any]:
        """Return the columns of an export. Never switches."""
        if self.export_fields is not None:
            return [*self.export_fields]
        every = [*self.get_list_display(request)]
        links = self.get_list_display_links(request, every)
        hidden = Preferences.of(request).hidden.get(self.opts.label_lower, ())
        shown = columns.shown(
            every, hidden, columns.hideable(every, links, self.list_editable)
        )
        key = self.opts.pk.name
        return shown if key in shown or "pk" in shown else [key, *shown]

    # The fields that an import can fill, such as "title", "artist" by its key or
    # "artist__name" by its name. There is no import without them.
    import_fields: Sequence[str] = ()
    # The field that says which object a row changes; None for the primary key.
    import_key: str | None = None
    # In bytes, and in rows.
    import_max_size = 1_000_000
    import_max_rows = 5_000

    def get_import_fields(self, request: Any) -> list[str]:
        """Return the fields that an import can fill. Never switches."""
        return [*self.import_fields]

    @dual
    def has_import_permission(self, request: Any) -> bool:
        """
        Return whether the visitor may import rows: whoever may add and change them, if
        there are fields to fill. May switch.
        """
        return (
            bool(self.get_import_fields(request))
            and self.has_add_permission(request)
            and self.has_change_permission(request)
        )

    def import_view(self, request: Any) -> Any:
        """
        Respond with a step of an import: a form for the file, a preview, or the
        progress of saving. Switches to the event loop.

        Raises:
            PermissionDenied: `has_import_permission()` says so.
        """
        return import_page(self, request)

    def check(self, **kwargs: Any) -> list[Any]:
        """Return what Django's checks and vinyl's find wrong. Never switches."""
        return [*super().check(**kwargs), *check_columns(self)]

    def get_urls(self) -> list[Any]:
        """Return Django's URLs, and those of the pages of lists. Never switches."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        own = [
            path("export/<str:kind>/", view(self.export_view), name=f"{name}_export"),
            path("import/", view(self.import_view), name=f"{name}_import"),
        ]
        return [*own, *super().get_urls()]

    def export_view(self, request: Any, kind: str) -> Any:
        """
        Respond with the rows of the change list with the same query string, all of its
        pages, as a file. Switches to the event loop.

        Raises:
            Http404: *kind* is no format of `exporting.FORMATS`.
            PermissionDenied: `has_export_permission()` says so.
        """
        if kind not in FORMATS:
            raise Http404(f"There is no export of the kind {kind!r}.")
        if not self.has_export_permission(request):
            raise PermissionDenied
        try:
            changelist = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
            url = reverse(name, current_app=self.admin_site.name)
            return HttpResponseRedirect(f"{url}?{ERROR_FLAG}=1")
        fields = self.get_export_fields(request)
        return exported(self, changelist.queryset, fields, kind)

    def action_checkbox(self, obj: Any) -> SafeString:
        """
        Return the checkbox of a row, as Django's, but without a template for each.
        Never switches, except where `__str__` of the object does.
        """
        words = gettext("Select this object for an action - {}")
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" '
            'aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            str(obj.pk),
            format_html(words, str(obj)),
        )

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        context = {
            "has_export_permission": self.has_export_permission(request),
            "has_import_permission": self.has_import_permission(request),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def get_deleted_objects(self, objs: Any, request: Any) -> tuple[Any, Any, Any, Any]:
        """
        Return what deleting *objs* includes, as in Django. Of many objects each model
        is counted, and its first ones are listed. Switches to the event loop.
        """
        return preview(
            objs,
            request,
            self.admin_site,
            functools.partial(super().get_deleted_objects, objs, request),
            # The action asks first; a post without one has been asked before.
            is_confirmed=bool(request.POST)
            and ("post" in request.POST or "action" not in request.POST),
        )

    def get_actions(self, request: Any, action_location: Any = None) -> dict[str, Any]:
        """
        Return the actions, as in Django. One that is a generator shows its progress.
        """
        # Django 6.1 looks for the argument, and 6.0 does not have it.
        place = {"action_location": action_location} if action_location else {}
        actions: dict[str, Any] = super().get_actions(request, **place)
        return {name: _streaming(entry) for name, entry in actions.items()}


def _streaming(entry: Any) -> Any:
    """*entry*, an action with its name and description, with its progress shown."""
    if isinstance(entry, tuple):
        action, name, description = entry
        return _shown(action, name, description), name, description
    # Since Django 6.1.
    return replace(entry, func=_shown(entry.func, entry.name, entry.description))


def _shown(
    action: Callable[..., Any], name: str, description: Any
) -> Callable[..., Any]:
    @functools.wraps(action)
    def act(model_admin: Any, request: Any, *args: Any) -> Any:
        guard(request, model_admin, name)
        title = description % model_format_dict(model_admin.opts)
        steps = action(model_admin, request, *args)
        return streamed(model_admin, request, title, steps)

    return act
