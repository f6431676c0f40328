"""The options of a ModelAdmin that concern its change list: Django's, and vinyl's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import model_format_dict

from vinyl.web.admin.counting import BoundedPaginator
from vinyl.web.admin.deletion import preview
from vinyl.web.admin.progress import streamed

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

    def get_actions(self, request: Any) -> dict[str, Any]:
        """
        Return the actions, as in Django. One that is a generator shows its progress.
        """
        actions: dict[str, Any] = super().get_actions(request)
        return {
            name: (_streaming(action, description), name, description)
            for name, (action, _, description) in actions.items()
        }


def _streaming(action: Callable[..., Any], description: Any) -> Callable[..., Any]:
    @functools.wraps(action)
    def act(model_admin: Any, request: Any, queryset: Any) -> Any:
        title = description % model_format_dict(model_admin.opts)
        return streamed(
            model_admin, request, title, action(model_admin, request, queryset)
        )

    return act
