"""
Django's class-based views. Their sync handlers, such as the `get()` of a `ListView`,
run inside the bridge as a whole, with what a class overrides.

Each method of a view may be `async def`: it is awaited where Django's code calls it. So
that it can call its parent's, those that may use the database are dual-mode: `await
super().get_context_data(**kwargs)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from django.views.generic import (
    ArchiveIndexView,
    CreateView,
    DateDetailView,
    DayArchiveView,
    DeleteView,
    DetailView,
    FormView,
    ListView,
    MonthArchiveView,
    RedirectView,
    TemplateView,
    TodayArchiveView,
    UpdateView,
    View,
    WeekArchiveView,
    YearArchiveView,
)

from vinyl.orm.dualmode import Row, dual

__all__ = [
    "TABLE",
    "ArchiveIndexView",
    "CreateView",
    "DateDetailView",
    "DayArchiveView",
    "DeleteView",
    "DetailView",
    "FormView",
    "ListView",
    "MonthArchiveView",
    "RedirectView",
    "TemplateView",
    "TodayArchiveView",
    "UpdateView",
    "View",
    "WeekArchiveView",
    "YearArchiveView",
]


def hook(fn: Callable) -> Callable:
    """
    The change for a view's own methods: one that is `async def` is awaited. Without it
    a `test_func` of that kind would be a coroutine, which is true.
    """
    # Whether these are async tells Django of which kind the view is.
    if fn.__name__ in View.http_method_names:
        return fn
    return dual(fn) if inspect.iscoroutinefunction(fn) else fn


_VIEW = "django.views.generic.base:View"

TABLE = (
    Row(
        _VIEW,
        "dispatch form_invalid form_valid get_context_data get_dated_items get_object "
        "paginate_queryset",
        dual,
        inherited=True,
    ),
    Row(_VIEW, "*", hook, inherited=True),
)
