"""
Generic relations in async mode, whether or not their content types are known.

`album.tags` needs the content type of `Album` as soon as it is read, and `tag.target =
album` as soon as it is set. Django asks the database for a content type once and keeps
it. On the event loop, where asking would block, one that is not known is asked for
later:

- The manager of a generic relation filters by an `UnknownContentType`, which asks when
  the query is compiled. Its other methods run in the bridge, and ask there.
- Setting a generic foreign key leaves the content type out of the instance, as if it
  were deferred. When it is read or saved, it is that of the object that was set.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import django
from django.db.models import Model, Value
from django.db.models.expressions import Expression

from vinyl.bridge.greenlets import runs_sync
from vinyl.bridge.patching import Row, native
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.dualmode.lazy import lazy
from vinyl.orm.observe import recorder

__all__ = ["TABLE", "UnknownContentType", "content_type_of"]


class UnknownContentType(Expression):
    """
    The key, in a query, of a content type that this process does not know yet.

    Args:
        model: Whose content type it is.
        using: The alias of the database that has it; None for the routers' choice.
        for_concrete_model: Whether that of a proxy is its concrete model's.
    """

    def __init__(self, model: Any, using: str | None, for_concrete_model: bool) -> None:
        from django.contrib.contenttypes.models import ContentType

        super().__init__(output_field=ContentType._meta.pk)
        self.model = model
        self.using = using
        self.for_concrete_model = for_concrete_model

    @property
    def pk(self) -> UnknownContentType:
        return self

    id = pk

    def resolve(self) -> Any:
        """
        The content type. Switches to the event loop where Django asks for it.

        Raises:
            NotAwaitedError: Asked on the event loop.
        """
        return _manager(self.using).get_for_model(self.model, self.for_concrete_model)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        found = content_type_of(self.model, self.using, self.for_concrete_model)
        if not isinstance(found, UnknownContentType):
            return compiler.compile(Value(found.pk, self.output_field))
        # On the event loop no query runs: this is for `str(queryset.query)`.
        manager = _manager(self.using)
        opts = manager._get_opts(self.model, self.for_concrete_model)
        types = manager.filter(app_label=opts.app_label, model=opts.model_name)
        query = types.values("pk").query
        query.subquery = True
        return compiler.compile(query)

    def get_group_by_cols(self) -> list[Any]:
        return []


def _manager(using: str | None) -> Any:
    from django.contrib.contenttypes.models import ContentType

    return ContentType.objects.db_manager(using)


def _known(manager: Any, model: Any, for_concrete_model: bool) -> Any:
    """The content type of *model* if Django knows it without a query; else None."""
    try:
        return manager._get_from_cache(manager._get_opts(model, for_concrete_model))
    except KeyError:
        return None


def content_type_of(model: Any, using: str | None, for_concrete_model: bool) -> Any:
    """
    The content type of *model*; on the event loop an `UnknownContentType` if it would
    have to be asked for. Arguments as for that.

    Switches to the event loop, in the bridge, where Django asks for it.
    """
    manager = _manager(using)
    if (found := _known(manager, model, for_concrete_model)) is not None:
        return found
    if runs_sync():
        return manager.get_for_model(model, for_concrete_model)
    return UnknownContentType(model, using, for_concrete_model)


def patch_get_for_model(get_for_model: Callable) -> Callable:
    """`ContentType.objects.get_for_model()`, which on the loop knows or refuses."""

    @functools.wraps(get_for_model)
    def known(self: Any, model: Any, for_concrete_model: bool = True) -> Any:
        if not runs_sync() and _known(self, model, for_concrete_model) is None:
            name = model._meta.label
            raise NotAwaitedError(
                f"The content type of {name} is not known in this process yet, and "
                f"asking for it here would block the event loop. Write `await "
                f"run(ContentType.objects.get_for_model, {name.split('.')[1]})`, or "
                f"run the function that asks for it in the bridge: `await "
                f"run(function, ...)`."
            )
        return get_for_model(self, model, for_concrete_model)

    return known


# ----- The manager of a generic relation


class _ContentTypeOfManager:
    """
    The attribute `content_type` of the manager. One that was unknown when the manager
    was made, on the event loop, is found when a method reads it in the bridge.
    """

    def __get__(self, manager: Any, cls: type) -> Any:
        found = vars(manager)["content_type"]
        # The manager's filters are made of it as it is.
        if isinstance(found, UnknownContentType) and "core_filters" in vars(manager):
            found = vars(manager)["content_type"] = found.resolve()
        return found

    def __set__(self, manager: Any, value: Any) -> None:
        vars(manager)["content_type"] = value


class _AskingOfManager:
    """The attribute `get_content_type` of the manager: a function of an instance."""

    def __get__(self, manager: Any, cls: type) -> Callable[[Model], Any]:
        asked = vars(manager)["get_content_type"]
        using = manager.instance._state.db
        for_concrete_model = asked.keywords["for_concrete_model"]
        return lambda obj: content_type_of(type(obj), using, for_concrete_model)

    def __set__(self, manager: Any, value: Any) -> None:
        vars(manager)["get_content_type"] = value


def patch_create_manager(create: Callable) -> Callable:
    """
    `create_generic_related_manager` makes managers that need not know their content
    type. Where lazy loads are noticed, their querysets tell whose they are, as those of
    all other relations do.
    """

    @functools.wraps(create)
    def create_generic_related_manager(superclass: type, rel: Any) -> Any:
        cls = create(superclass, rel)
        cls.content_type = _ContentTypeOfManager()
        cls.get_content_type = _AskingOfManager()
        filtered = cls._apply_rel_filters

        def _apply_rel_filters(self: Any, queryset: Any) -> Any:
            found = filtered(self, queryset)
            if recorder.notices_loads:
                found._add_hints(instance=self.instance)
            return found

        cls._apply_rel_filters = _apply_rel_filters
        return cls

    return create_generic_related_manager


def patch_content_type_of_relation(get_content_type: Callable) -> Callable:
    """`GenericRelation.get_content_type`, which joins use, some before a query runs."""

    @functools.wraps(get_content_type)
    def of_relation(self: Any) -> Any:
        return content_type_of(self.model, None, self.for_concrete_model)

    return of_relation


# ----- Generic foreign keys


def patch_set_target(set_target: Callable) -> Callable:
    """`__set__` of a generic foreign key: an unknown content type is left out."""

    @functools.wraps(set_target)
    def __set__(self: Any, instance: Model, value: Any) -> None:
        field = _field_of(self)
        if not isinstance(value, Model) or not isinstance(
            _content_type_of_target(field, value), UnknownContentType
        ):
            set_target(self, instance, value)
            return
        type_field: Any = instance._meta.get_field(field.ct_field)
        if type_field.is_cached(instance):
            type_field.delete_cached_value(instance)
        vars(instance).pop(type_field.attname, None)
        setattr(instance, field.fk_field, value.pk)
        field.set_cached_value(instance, value)

    return __set__


def patch_get_target(get_target: Callable) -> Callable:
    """`__get__` of a generic foreign key, which is lazy."""

    @functools.wraps(get_target)
    def __get__(self: Any, instance: Any, cls: type | None = None) -> Any:
        if instance is not None and not runs_sync():
            # Django would compare the content type.
            for _, field, target in _left_out(instance):
                if field.name == _field_of(self).name:
                    return target
        return get_target(self, instance, cls)

    change = lazy(
        lambda descriptor, instance: is_current(_field_of(descriptor), instance),
        lambda descriptor: _field_of(descriptor).name,
        "generic",
    )
    return change(__get__)


def _field_of(descriptor: Any) -> Any:
    """The generic foreign key; up to Django 6.0 it is its own descriptor."""
    return getattr(descriptor, "field", descriptor)


def _content_type_of_target(field: Any, target: Model) -> Any:
    using = target._state.db
    return content_type_of(type(target), using, field.for_concrete_model)


def _left_out(instance: Model) -> Iterator[tuple[str, Any, Model]]:
    """
    The content types that *instance* lacks because its target was set while they were
    unknown: the name of the attribute, the generic foreign key, and the target.
    """
    for field in instance._meta.private_fields:
        if hasattr(field, "ct_field") and field.is_cached(instance):
            target = field.get_cached_value(instance)
            type_field: Any = instance._meta.get_field(field.ct_field)
            if target is not None and type_field.attname not in vars(instance):
                yield type_field.attname, field, target


def patch_check_parent_chain(check: Callable) -> Callable:
    """
    `DeferredAttribute._check_parent_chain`, which tells what a missing value is
    without loading it: for a content type that was left out, that of the target.
    """

    @functools.wraps(check)
    def _check_parent_chain(self: Any, instance: Model) -> Any:
        for attname, field, target in _left_out(instance):
            if attname == self.field.attname:
                found = _content_type_of_target(field, target)
                return None if isinstance(found, UnknownContentType) else found.pk
        return check(self, instance)

    return _check_parent_chain


def patch_prepare_for_save(prepare: Callable) -> Callable:
    """
    `Model._prepare_related_fields_for_save`: what was left out is found, or it would
    count as deferred and not be saved.
    """

    @functools.wraps(prepare)
    def find_and_prepare(self: Model, *args: Any, **kwargs: Any) -> None:
        for attname, _, _ in list(_left_out(self)):
            getattr(self, attname)
        prepare(self, *args, **kwargs)

    return find_and_prepare


def is_current(field: Any, instance: Model) -> bool:
    """
    Whether the cached target of a generic foreign key is known to be the one that its
    content type and key name.
    """
    if not field.is_cached(instance):
        return False
    target = field.get_cached_value(instance)
    if target is None:
        return True
    if target._meta.pk.to_python(getattr(instance, field.fk_field)) != target.pk:
        return False
    type_field: Any = instance._meta.get_field(field.ct_field)
    if type_field.attname not in vars(instance):
        return True
    found = _content_type_of_target(field, target)
    return not isinstance(found, UnknownContentType) and (
        vars(instance)[type_field.attname] == found.pk
    )


_APP = "django.contrib.contenttypes"
_FIELDS = f"{_APP}.fields"
_TARGET = f"{_FIELDS}:GenericForeignKey"
if django.VERSION >= (6, 1):
    _TARGET += "Descriptor"

TABLE = tuple(
    row._replace(app="contenttypes")
    for row in (
        Row(f"{_APP}.models:ContentTypeManager", "get_for_model", patch_get_for_model),
        Row(_FIELDS, "create_generic_related_manager", patch_create_manager),
        Row(
            f"{_FIELDS}:GenericRelation",
            "get_content_type",
            patch_content_type_of_relation,
        ),
        Row(_TARGET, "__get__", patch_get_target),
        Row(_TARGET, "__set__", patch_set_target),
        Row(
            "django.db.models.query_utils:DeferredAttribute",
            "_check_parent_chain",
            patch_check_parent_chain,
        ),
        Row(
            "django.db.models.base:Model",
            "_prepare_related_fields_for_save",
            patch_prepare_for_save,
        ),
        Row(_FIELDS, "sync_to_async", native),
    )
)
