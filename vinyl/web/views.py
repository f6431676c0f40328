"""
Django's class-based views. All of their sync code runs inside the bridge, including
methods that a class overrides, and `setup()` and `dispatch()` of a view with async
handlers, whatever decorator or transaction is around it.

Each method of a view may be `async def`: it is awaited where Django's code calls it.
The inherited methods that may use the database are dual-mode, so that such a method can
call them: `await super().get_context_data(**kwargs)`.
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
from django.views.generic.detail import SingleObjectMixin
from django.views.generic.edit import DeletionMixin, FormMixin
from django.views.generic.list import MultipleObjectMixin

from vinyl.bridge.greenlets import run
from vinyl.bridge.mode import dual, dual_if_async
from vinyl.bridge.patching import Patch
from vinyl.web.subscripting import make_subscriptable

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


make_subscriptable(
    View, FormMixin, DeletionMixin, MultipleObjectMixin, SingleObjectMixin
)


def patch_method(fn: Callable[..., Any]) -> Callable[..., Any]:
    """
    A method of a view, awaited if it is `async def`. A `test_func` of that kind would
    otherwise return a coroutine, which is always true.
    """
    # Django looks at the handlers to decide whether the view is async.
    if fn.__name__ in View.http_method_names:
        return fn
    return dual_if_async(fn)


def patch_as_view(as_view: Any) -> Any:
    """
    `as_view()`, whose view is `async def` if the class has async handlers. Django's is
    a plain function marked as async: it may query before it returns the handler's
    coroutine, which would block the event loop.
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
    Patch(_VIEW, "as_view", patch_as_view),
    Patch(
        _VIEW,
        "dispatch form_invalid form_valid get_context_data get_dated_items get_object "
        "paginate_queryset",
        dual,
        inherited=True,
    ),
    Patch(_VIEW, "*", patch_method, inherited=True),
)
