"""
Generic relations in async mode.

`album.tags`, a GenericRelation, needs the content type of `Album` as soon as it is
read, and reading cannot wait. Django keeps content types once it has met them, so
vinyl has it meet them where it can wait: when instances are fetched or saved inside the
bridge. That is one query in the life of a process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Model

from vinyl.exceptions import NotAwaitedError
from vinyl.orm import recording
from vinyl.orm.bridge import in_bridge, runs_sync

__all__ = ["meet_content_types"]


def meet_content_types(instances: Any) -> None:
    """
    Have Django know the content types that *instances* and what came with them need.

    Args:
        instances: Results of one query; the first stands for all.
    """
    first = next(iter(instances or ()), None)
    if not isinstance(first, Model):
        return
    for instance in _joined(first):
        for field in instance._meta.private_fields:
            if hasattr(field, "content_type_field_name"):
                from django.contrib.contenttypes.models import ContentType

                ContentType.objects.db_manager(instance._state.db).get_for_model(
                    type(instance), for_concrete_model=field.for_concrete_model
                )


def _joined(instance: Model) -> Iterator[Model]:
    """*instance*, and what select_related() brought along with it."""
    yield instance
    fields: Any = instance._meta.fields
    for field in fields:
        if field.is_relation and field.is_cached(instance):
            related = field.get_cached_value(instance)
            if isinstance(related, Model):
                yield from _joined(related)


def meeting_when_saved(save_base: Callable) -> Callable:
    """`Model.save_base` that meets the content type of what it saves."""

    @functools.wraps(save_base)
    def dual(self: Model, *args: Any, **kwargs: Any) -> None:
        save_base(self, *args, **kwargs)
        if self._meta.private_fields and in_bridge():
            meet_content_types([self])

    return dual


def hinting(create: Callable) -> Callable:
    """
    The change for what makes the managers of generic relations: where lazy loads are
    noticed, their querysets tell whose they are, as those of all other relations do.
    """

    @functools.wraps(create)
    def create_generic_related_manager(superclass: type, rel: Any) -> Any:
        cls = create(superclass, rel)
        filtered = cls._apply_rel_filters

        def _apply_rel_filters(self: Any, queryset: Any) -> Any:
            found = filtered(self, queryset)
            if recording.notices_loads:
                found._add_hints(instance=self.instance)
            return found

        cls._apply_rel_filters = _apply_rel_filters
        return cls

    return create_generic_related_manager


def known_or_refused(get_for_model: Callable) -> Callable:
    """`ContentType.objects.get_for_model()`, which on the loop knows or refuses."""

    @functools.wraps(get_for_model)
    def known(self: Any, model: Any, for_concrete_model: bool = True) -> Any:
        if not runs_sync():
            try:
                self._get_from_cache(self._get_opts(model, for_concrete_model))
            except KeyError:
                name = model._meta.label
                raise NotAwaitedError(
                    f"The content type of {name} is not known in this process yet, "
                    f"and asking for it here would block the event loop. Write `await "
                    f"run(ContentType.objects.get_for_model, {name.split('.')[1]})` "
                    f"once before."
                ) from None
        return get_for_model(self, model, for_concrete_model)

    return known


def is_current(field: Any, instance: Model) -> bool:
    """Whether the cached target of a GenericForeignKey is the one its key names."""
    if not field.is_cached(instance):
        return False
    target = field.get_cached_value(instance)
    if target is None:
        return True
    type_field: Any = instance._meta.get_field(field.ct_field)
    key = target._meta.pk.to_python(getattr(instance, field.fk_field))
    using = instance._state.db
    its_type = field.get_content_type(obj=target, using=using)
    return key == target.pk and getattr(instance, type_field.attname) == its_type.pk
