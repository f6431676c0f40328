"""
Django's paginator in both modes: `await Paginator(albums, 10).get_page(2)` in an async
view, the same without `await` elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.core.paginator import EmptyPage, InvalidPage, PageNotAnInteger, Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

from vinyl.bridge.greenlets import run, runs_sync
from vinyl.bridge.mode import dual
from vinyl.bridge.patching import Patch
from vinyl.exceptions import NotAwaitedError

__all__ = ["TABLE", "EmptyPage", "InvalidPage", "PageNotAnInteger", "Paginator"]


def loaded(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    The change for what gives a page: in async mode it is to be awaited, and then has
    its rows, so that a plain loop reads them.
    """

    def load(self: Any, *args: Any, **kwargs: Any) -> Any:
        page = method(self, *args, **kwargs)
        if isinstance(page.object_list, QuerySet):
            page.object_list._fetch_all()
        return page

    async def load_in_bridge(*args: Any, **kwargs: Any) -> Any:
        return await run(load, *args, **kwargs)

    return dual(method, None, load_in_bridge)


def counted(count: cached_property[Any]) -> cached_property[Any]:
    """The change for `count`, which no property can wait for."""

    @functools.wraps(count.func)
    def get(self: Any) -> int:
        rows = self.object_list
        if runs_sync() or not isinstance(rows, QuerySet):
            return count.func(self)
        if rows._result_cache is not None:
            return len(rows)
        raise NotAwaitedError(
            f"The rows of this {type(self).__name__} have not been counted yet, and "
            f"counting them means waiting. Write `page = await paginator.get_page(n)` "
            f"first."
        )

    changed = cached_property(get)
    changed.__set_name__(Paginator, "count")
    return changed


_PAGINATOR = "django.core.paginator:Paginator"

TABLE = (
    Patch(_PAGINATOR, "get_page page", loaded, inherited=True),
    Patch(_PAGINATOR, "count", counted),
)
