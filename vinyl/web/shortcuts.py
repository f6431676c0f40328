"""Django's shortcuts, dual-mode wherever they are imported from."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, cast

from django import shortcuts
from django.db.models import Manager, Model, QuerySet
from django.shortcuts import aget_list_or_404, aget_object_or_404

from vinyl.orm import Dual, use_driver

__all__ = [
    "aget_list_or_404",
    "aget_object_or_404",
    "get_list_or_404",
    "get_object_or_404",
]

M = TypeVar("M", bound=Model)


class GetObject(Protocol):
    """`get_object_or_404()`, for Django's classes and vinyl's."""

    def __call__(
        self, klass: type[M] | Manager[M] | QuerySet[M, Any], *args: Any, **kwargs: Any
    ) -> Dual[M]: ...


class GetList(Protocol):
    """`get_list_or_404()`, for Django's classes and vinyl's."""

    def __call__(
        self, klass: type[M] | Manager[M] | QuerySet[M, Any], *args: Any, **kwargs: Any
    ) -> Dual[list[M]]: ...


get_object_or_404 = cast(GetObject, use_driver(shortcuts.get_object_or_404))
get_list_or_404 = cast(GetList, use_driver(shortcuts.get_list_or_404))
