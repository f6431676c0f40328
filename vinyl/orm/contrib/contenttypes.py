"""
Generic relations in async mode, whether or not their content types are known.

`album.tags` needs the content type of `Album` as soon as it is read. Django asks the
database for a content type once and keeps it. On the event loop, where asking would
block, one that is not known is asked for later: the manager of a generic relation
filters by an `UnknownContentType`, which asks when the query is compiled. Its other
methods run in the bridge, and ask there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.db.models import Model, Value
from django.db.models.expressions import Expression

from vinyl.bridge.mode import runs_sync
from vinyl.bridge.patching import Patch, patch_sync_to_async
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.observe.lazy_loads import patch_create_related_manager

__all__ = ["TABLE", "UnknownContentType", "content_type_of"]


class UnknownContentType(Expression):
    """
    The key, in a query, of a content type that this process does not know yet.

    Args:
        model: The model that the content type stands for.
        using: The alias of the database to ask; None leaves it to the routers.
        for_concrete_model: Whether a proxy has the content type of its concrete model.
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
        Return the content type.

        Raises:
            NotAwaitedError: Called on the event loop.

        Switches to the event loop in the bridge, if Django has to ask the database.
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
    Return the content type of *model*. On the event loop, where asking the database
    would block, it may be an `UnknownContentType`, which takes the same arguments.

    Switches to the event loop in the bridge, if Django has to ask the database.
    """
    manager = _manager(using)
    if (found := _known(manager, model, for_concrete_model)) is not None:
        return found
    if runs_sync():
        return manager.get_for_model(model, for_concrete_model)
    return UnknownContentType(model, using, for_concrete_model)


def patch_get_for_model(get_for_model: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `ContentType.objects.get_for_model()`: on the event loop, one that Django
    would have to ask the database for is refused.
    """

    @functools.wraps(get_for_model)
    def get_known(self: Any, model: Any, for_concrete_model: bool = True) -> Any:
        if not runs_sync() and _known(self, model, for_concrete_model) is None:
            name = model._meta.label
            raise NotAwaitedError(
                f"The content type of {name} is not known in this process yet, and "
                f"asking the database here would block the event loop. Write `await "
                f"run(ContentType.objects.get_for_model, {name.split('.')[1]})`, or "
                f"run the function that needs it in the bridge: `await "
                f"run(function, ...)`."
            )
        return get_for_model(self, model, for_concrete_model)

    return get_known


# ----- The manager of a generic relation


class _ContentTypeOfManager:
    """
    The attribute `content_type` of the manager. If it was unknown when the manager was
    made, on the event loop, it is looked up when a method reads it in the bridge.
    """

    def __get__(self, manager: Any, cls: type) -> Any:
        found = vars(manager)["content_type"]
        # The manager's filters are made of it as it is.
        if isinstance(found, UnknownContentType) and "core_filters" in vars(manager):
            found = vars(manager)["content_type"] = found.resolve()
        return found

    def __set__(self, manager: Any, value: Any) -> None:
        vars(manager)["content_type"] = value


class _GetContentTypeOfManager:
    """The attribute `get_content_type` of the manager: takes an instance."""

    def __get__(self, manager: Any, cls: type) -> Callable[[Model], Any]:
        asked = vars(manager)["get_content_type"]
        using = manager.instance._state.db
        for_concrete_model = asked.keywords["for_concrete_model"]
        return lambda obj: content_type_of(type(obj), using, for_concrete_model)

    def __set__(self, manager: Any, value: Any) -> None:
        vars(manager)["get_content_type"] = value


def patch_create_manager(create: Callable[..., Any]) -> Callable[..., Any]:
    """
    `create_generic_related_manager` makes managers that need not know their content
    type.
    """

    @functools.wraps(create)
    def create_generic_related_manager(superclass: type, rel: Any) -> Any:
        cls = create(superclass, rel)
        cls.content_type = _ContentTypeOfManager()
        cls.get_content_type = _GetContentTypeOfManager()
        return cls

    return create_generic_related_manager


def patch_content_type_of_relation(
    get_content_type: Callable[..., Any],
) -> Callable[..., Any]:
    """Patch `GenericRelation.get_content_type`, which joins use before a query runs."""

    @functools.wraps(get_content_type)
    def of_relation(self: Any) -> Any:
        return content_type_of(self.model, None, self.for_concrete_model)

    return of_relation


_APP = "django.contrib.contenttypes"
_FIELDS = f"{_APP}.fields"

TABLE = tuple(
    patch._replace(app="contenttypes")
    for patch in (
        Patch(
            f"{_APP}.models:ContentTypeManager", "get_for_model", patch_get_for_model
        ),
        Patch(_FIELDS, "create_generic_related_manager", patch_create_manager),
        Patch(_FIELDS, "create_generic_related_manager", patch_create_related_manager),
        Patch(
            f"{_FIELDS}:GenericRelation",
            "get_content_type",
            patch_content_type_of_relation,
        ),
        Patch(_FIELDS, "sync_to_async", patch_sync_to_async),
    )
)
