"""
Relations: foreign keys, whose values may have to be awaited, and related managers.

What a relation gives may be a value or a `NotFetched`. A value of vinyl's Model is
declared awaitable, so that both spellings have its type. Where there may be no value,
and for models that derive from Django's Model, it is a `Dual`.
"""

# mypy: disable-error-code="misc, override"

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, Self, overload

import django.db.models
from django.db.models.expressions import Combinable
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
    ManyToManyDescriptor,
)
from django.db.models.fields.related_descriptors import (
    ManyRelatedManager as DjangosManyRelatedManager,
)
from django.db.models.fields.related_descriptors import (
    RelatedManager as DjangosRelatedManager,
)
from typing_extensions import TypeVar, Unpack

from vinyl.bridge.calls import Dual
from vinyl.orm.types.fields import Options, Stored
from vinyl.orm.types.models import Model
from vinyl.orm.types.querysets import Manager

_D = TypeVar("_D", bound=django.db.models.Model)
_To = TypeVar("_To", bound=django.db.models.Model)
_Through = TypeVar(
    "_Through", bound=django.db.models.Model, default=django.db.models.Model
)
_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True, default=_ST)

class RelationOptions(Options, total=False):
    verbose_name: Any
    related_name: str | None
    related_query_name: str | None
    limit_choices_to: Any
    parent_link: bool
    to_field: str | None
    db_constraint: bool
    swappable: bool

class RelatedManager(Manager[_To], DjangosRelatedManager[_To], Generic[_To]):
    def add(self, *objs: _To | int, bulk: bool = True) -> Dual[None]: ...
    def clear(self, *, bulk: bool = True) -> Dual[None]: ...
    def remove(self, *objs: _To | int, bulk: bool = True) -> Dual[None]: ...
    def set(
        self,
        objs: django.db.models.QuerySet[_To, Any] | Iterable[_To | int],
        *,
        bulk: bool = True,
        clear: bool = False,
    ) -> Dual[None]: ...

class ManyRelatedManager(
    Manager[_To], DjangosManyRelatedManager[_To, _Through], Generic[_To, _Through]
):
    def add(
        self, *objs: _To | int, through_defaults: Mapping[str, Any] | None = None
    ) -> Dual[None]: ...
    def clear(self) -> Dual[None]: ...
    def remove(self, *objs: _To | int) -> Dual[None]: ...
    def set(
        self,
        objs: django.db.models.QuerySet[_To, Any] | Iterable[_To | int],
        *,
        clear: bool = False,
        through_defaults: Mapping[str, Any] | None = None,
    ) -> Dual[None]: ...
    def create(
        self, *, through_defaults: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Dual[_To]: ...
    def get_or_create(
        self,
        defaults: Mapping[str, Any] | None = None,
        through_defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Dual[tuple[_To, bool]]: ...
    def update_or_create(
        self,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        through_defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Dual[tuple[_To, bool]]: ...

class ForeignKey(Stored[_ST, _GT], django.db.models.ForeignKey[_ST, _GT]):
    @overload
    def __init__(
        self: ForeignKey[_D | Combinable, _D],
        to: type[_D],
        on_delete: Callable[..., None],
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[RelationOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: ForeignKey[_D | Combinable | None, _D | None],
        to: type[_D],
        on_delete: Callable[..., None],
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[RelationOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: ForeignKey[_ST, _GT],
        to: str,
        on_delete: Callable[..., None],
        *,
        null: bool = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[RelationOptions],
    ) -> None: ...
    @overload
    def __get__(
        self, instance: None, owner: Any
    ) -> ForwardManyToOneDescriptor[Self]: ...
    # NULL can be stored, so what can be assigned includes None.
    @overload
    def __get__(
        self: ForeignKey[None, Any], instance: django.db.models.Model, owner: Any
    ) -> Dual[_GT]: ...
    @overload
    def __get__(
        self: ForeignKey[Any, Model], instance: django.db.models.Model, owner: Any
    ) -> _GT: ...
    @overload
    def __get__(self, instance: django.db.models.Model, owner: Any) -> Dual[_GT]: ...
    @overload
    def __get__(self, instance: Any, owner: Any) -> Self: ...

class OneToOneField(Stored[_ST, _GT], django.db.models.OneToOneField[_ST, _GT]):
    @overload
    def __init__(
        self: OneToOneField[_D | Combinable, _D],
        to: type[_D],
        on_delete: Callable[..., None],
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[RelationOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: OneToOneField[_D | Combinable | None, _D | None],
        to: type[_D],
        on_delete: Callable[..., None],
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[RelationOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: OneToOneField[_ST, _GT],
        to: str,
        on_delete: Callable[..., None],
        *,
        null: bool = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[RelationOptions],
    ) -> None: ...
    @overload
    def __get__(
        self, instance: None, owner: Any
    ) -> ForwardOneToOneDescriptor[Self]: ...
    # NULL can be stored, so what can be assigned includes None.
    @overload
    def __get__(
        self: OneToOneField[None, Any], instance: django.db.models.Model, owner: Any
    ) -> Dual[_GT]: ...
    @overload
    def __get__(
        self: OneToOneField[Any, Model], instance: django.db.models.Model, owner: Any
    ) -> _GT: ...
    @overload
    def __get__(self, instance: django.db.models.Model, owner: Any) -> Dual[_GT]: ...
    @overload
    def __get__(self, instance: Any, owner: Any) -> Self: ...

class ManyOptions(RelationOptions, total=False):
    symmetrical: bool | None
    through_fields: tuple[str, ...] | None
    db_table: str | None

class ManyToManyField(
    django.db.models.ManyToManyField[_To, _Through], Generic[_To, _Through]
):
    def __init__(
        self,
        to: type[_To] | str,
        *,
        through: type[_Through] | str | None = None,
        **options: Unpack[ManyOptions],
    ) -> None: ...
    @overload
    def __get__(
        self, instance: None, owner: Any
    ) -> ManyToManyDescriptor[_To, _Through]: ...
    @overload
    def __get__(
        self, instance: django.db.models.Model, owner: Any
    ) -> ManyRelatedManager[_To, _Through]: ...
    @overload
    def __get__(self, instance: Any, owner: Any) -> Self: ...
