"""
Django's paginator, dual-mode: `await Paginator(albums, 10).get_page(2)` in an async
view, the same without `await` in sync code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import django.core.paginator
from django.core.paginator import EmptyPage, InvalidPage, Page, PageNotAnInteger
from django.db.models import QuerySet
from django.utils.functional import cached_property

from vinyl.bridge.greenlets import run
from vinyl.bridge.mode import dual, runs_sync
from vinyl.bridge.patching import Patch
from vinyl.exceptions import NotAwaitedError
from vinyl.web.subscripting import make_subscriptable

T = TypeVar("T")

if TYPE_CHECKING:
    from vinyl.bridge.calls import Dual

    class Paginator(django.core.paginator.Paginator[T]):
        """Django's, whose stubs do not know `await`."""

        @overload
        def __init__(
            self, object_list: QuerySet[Any, T], per_page: int | str, **options: Any
        ) -> None: ...

        @overload
        def __init__(
            self, object_list: Sequence[T], per_page: int | str, **options: Any
        ) -> None: ...

        def __init__(self, object_list: Any, per_page: Any, **options: Any) -> None: ...

        def get_page(self, number: float | str | None) -> Dual[Page[T]]: ...
        def page(self, number: int | str) -> Dual[Page[T]]: ...

else:
    from django.core.paginator import Paginator

__all__ = ["TABLE", "EmptyPage", "InvalidPage", "Page", "PageNotAnInteger", "Paginator"]


def patch_get_page(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    `get_page()` and `page()`, dual-mode: an awaited page has its rows, so that a plain
    `for` can read them.
    """

    def load(self: Any, *args: Any, **kwargs: Any) -> Any:
        page = method(self, *args, **kwargs)
        if isinstance(page.object_list, QuerySet):
            page.object_list._fetch_all()
        return page

    async def load_in_bridge(*args: Any, **kwargs: Any) -> Any:
        return await run(load, *args, **kwargs)

    return dual(method, None, load_in_bridge)


def patch_count(count: cached_property[Any]) -> cached_property[Any]:
    """`count`, which refuses to query in async mode, since a property cannot wait."""

    @functools.wraps(count.func)
    def get(self: Any) -> int:
        rows = self.object_list
        if runs_sync() or not isinstance(rows, QuerySet):
            return count.func(self)
        if rows._result_cache is not None:
            return len(rows)
        raise NotAwaitedError(
            f"The rows of this {type(self).__name__} have not been counted yet, and a "
            f"property cannot wait for the database. Write `page = await "
            f"paginator.get_page(n)` first."
        )

    changed = cached_property(get)
    changed.__set_name__(Paginator, "count")
    return changed


make_subscriptable(django.core.paginator.Page, django.core.paginator.Paginator)

_PAGINATOR = "django.core.paginator:Paginator"

TABLE = (
    Patch(_PAGINATOR, "get_page page", patch_get_page, inherited=True),
    Patch(_PAGINATOR, "count", patch_count),
)
