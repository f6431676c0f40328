"""
Generic relations in async mode.

`album.tags`, a GenericRelation, needs the content type of `Album` as soon as it is
read, and reading cannot wait. Django keeps content types once it has met them, so
vinyl has it meet them where it can wait: when instances are fetched or saved inside the
bridge. That is one query for each such model in the life of a process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.db import models

from vinyl.orm.bridge import in_bridge

__all__: list[str] = []


def meet_content_types(model: type[models.Model], alias: str) -> None:
    """Have Django know the content type of *model* if a GenericRelation needs it."""
    for field in model._meta.private_fields:
        if hasattr(field, "content_type_field_name"):
            from django.contrib.contenttypes.models import ContentType

            ContentType.objects.db_manager(alias).get_for_model(
                model, for_concrete_model=field.for_concrete_model
            )


def meeting_when_fetched(fetch_all: Callable) -> Callable:
    """`QuerySet._fetch_all` that meets the content types of what it fetches."""

    @functools.wraps(fetch_all)
    def _fetch_all(self: Any) -> None:
        fetch_all(self)
        if self.model._meta.private_fields and in_bridge():
            # Where the rows came from; asking the router again would be a second call.
            first = next(iter(self._result_cache), None)
            if isinstance(first, models.Model):
                meet_content_types(self.model, first._state.db or "default")

    return _fetch_all


def meeting_when_saved(save_base: Callable) -> Callable:
    """`Model.save_base` that meets the content type of what it saves."""

    @functools.wraps(save_base)
    def dual(self: models.Model, *args: Any, **kwargs: Any) -> None:
        save_base(self, *args, **kwargs)
        if self._meta.private_fields and in_bridge():
            meet_content_types(type(self), self._state.db or "default")

    return dual
