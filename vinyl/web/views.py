"""
Django's class-based views. Their sync code runs inside the bridge as a whole, with what
a class overrides: also the `setup()` and `dispatch()` of one whose handlers are async,
whichever decorator or transaction is around it.

Each method of a view may be `async def`: it is awaited where Django's code calls it. So
that it can call its parent's, those that may use the database are dual-mode: `await
super().get_context_data(**kwargs)`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import iscoroutinefunction
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

from vinyl.bridge.greenlets import run
from vinyl.bridge.patching import Patch, dual, dual_if_async

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


def hook(fn: Callable[..., Any]) -> Callable[..., Any]:
    """
    The change for a view's own methods: one that is `async def` is awaited. Without it
    a `test_func` of that kind would be a coroutine, which is true.
    """
    # Whether these are async tells Django of which kind the view is.
    if fn.__name__ in View.http_method_names:
        return fn
    return dual_if_async(fn)


def bridged(as_view: Any) -> Any:
    """
    The change for `as_view()`: the view of a class with async handlers is `async def`.
    Django only marks its view as one, a plain function that queries before it gives the
    handler's coroutine; whoever awaits that on the event loop calls it there.
    """
    make = as_view.__func__

    @functools.wraps(make)
    def changed(cls: type[View], **initkwargs: Any) -> Callable[..., Any]:
        view = make(cls, **initkwargs)
        if not iscoroutinefunction(view):
            return view

        @functools.wraps(view)
        async def native(*args: Any, **kwargs: Any) -> Any:
            response = await run(view, *args, **kwargs)
            return await response if isinstance(response, Coroutine) else response

        return native

    return classmethod(changed)  # type: ignore[arg-type]


_VIEW = "django.views.generic.base:View"

TABLE = (
    Patch(_VIEW, "as_view", bridged),
    Patch(
        _VIEW,
        "dispatch form_invalid form_valid get_context_data get_dated_items get_object "
        "paginate_queryset",
        dual,
        inherited=True,
    ),
    Patch(_VIEW, "*", hook, inherited=True),
)
