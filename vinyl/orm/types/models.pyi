"""The base class of models, whose methods that use the database are dual-mode."""

# mypy: disable-error-code="override"

import sys
from collections.abc import Collection, Generator, Iterable
from typing import Any, ClassVar, Literal, Self

import django.db.models
from django.db.models.base import ModelBase as DjangosModelBase
from typing_extensions import TypeVar

from vinyl.bridge.calls import Dual
from vinyl.orm.types.querysets import Manager

_Self = TypeVar("_Self", bound=Model)

class ModelBase(DjangosModelBase):
    @property
    def _base_manager(cls: type[_Self]) -> Manager[_Self]: ...  # type: ignore[misc]
    @property
    def _default_manager(cls: type[_Self]) -> Manager[_Self]: ...  # type: ignore[misc]
    # For pyright, where a declared attribute would decide the type of users' own
    # `objects = AlbumManager()`.
    def __getattr__(  # type: ignore[misc]
        cls: type[_Self], name: Literal["objects"]
    ) -> Manager[_Self]: ...

class Model(django.db.models.Model, metaclass=ModelBase):
    # For mypy, whose Django plugin adds Django's manager where none is declared. mypy
    # does not compare three parts of a version; pyright does, and skips the block.
    if sys.version_info >= (3, 99, 0):
        objects: ClassVar[Manager[Self]]
    def __await__(self) -> Generator[Any, Any, Self]: ...
    # Overrides of these may be plain or async, so the types allow for both.
    def save(
        self,
        *,
        force_insert: bool | tuple[DjangosModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> Dual[None] | Any: ...
    def delete(
        self, using: Any | None = None, keep_parents: bool = False
    ) -> Dual[tuple[int, dict[str, int]]] | Any: ...
    def clean(self) -> Dual[None] | Any: ...
    def clean_fields(
        self, exclude: Collection[str] | None = None
    ) -> Dual[None] | Any: ...
    def full_clean(
        self,
        exclude: Iterable[str] | None = None,
        validate_unique: bool = True,
        validate_constraints: bool = True,
    ) -> Dual[None] | Any: ...
    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: django.db.models.QuerySet[Self] | None = None,
    ) -> Dual[None] | Any: ...
    def validate_constraints(
        self, exclude: Collection[str] | None = None
    ) -> Dual[None] | Any: ...
    def validate_unique(
        self, exclude: Collection[str] | None = None
    ) -> Dual[None] | Any: ...
