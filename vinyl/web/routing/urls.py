"""
`path()` and `re_path()`: Django's own, with the types of the views that vinyl serves.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol, TypeAlias, cast, overload

import django.urls
from django.urls import URLPattern, URLResolver
from django.utils.functional import Promise

from vinyl.web.http.django_responses import AnyResponse

__all__ = ["path", "re_path"]

View: TypeAlias = Callable[..., AnyResponse | Coroutine[Any, Any, AnyResponse]]

# What include() returns, and `admin.site.urls`.
Included: TypeAlias = tuple[
    Sequence[URLPattern | URLResolver] | ModuleType | str, str | None, str | None
]


class MakePattern(Protocol):
    """`path()` or `re_path()`, whose stubs accept only views of Django's responses."""

    @overload
    def __call__(
        self,
        route: str | Promise,
        view: View,
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> URLPattern: ...

    @overload
    def __call__(
        self,
        route: str | Promise,
        view: Included,
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> URLResolver: ...


path = cast(MakePattern, django.urls.path)
re_path = cast(MakePattern, django.urls.re_path)
