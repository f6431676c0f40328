"""
Fields, which know whether they are nullable without the help of a checker's plugin.

Each has an overload for `null=False` and one for `null=True`.
"""

# mypy: disable-error-code="misc, override"

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, Self, TypeAlias, TypedDict, overload

import django.db.models
from django.db.models.expressions import Combinable
from typing_extensions import TypeVar, Unpack

_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True, default=_ST)

class Options(TypedDict, total=False):
    """The options of every field, but for those that the overloads name."""

    name: str | None
    unique: bool
    blank: bool
    db_index: bool
    db_default: Any
    editable: bool
    auto_created: bool
    serialize: bool
    unique_for_date: str | None
    unique_for_month: str | None
    unique_for_year: str | None
    choices: Any
    help_text: Any
    db_column: str | None
    db_tablespace: str | None
    validators: Iterable[Callable[[Any], Any]]
    error_messages: Mapping[str, Any] | None
    db_comment: str | None

Bytes: TypeAlias = bytes | memoryview
Decimal: TypeAlias = str | float | decimal.Decimal | Combinable
Moment: TypeAlias = str | datetime.datetime | datetime.date | Combinable
Number: TypeAlias = float | str | Combinable
Span: TypeAlias = datetime.timedelta | Combinable
Text: TypeAlias = str | Combinable
Time: TypeAlias = str | datetime.time | datetime.datetime | Combinable

class CharOptions(Options, total=False):
    max_length: int | None
    db_collation: str | None

class DateOptions(Options, total=False):
    auto_now: bool
    auto_now_add: bool

class DecimalOptions(Options, total=False):
    max_digits: int | None
    decimal_places: int | None

class AddressOptions(Options, total=False):
    protocol: str
    unpack_ipv4: bool

class JSONOptions(Options, total=False):
    encoder: Any
    decoder: Any

class SlugOptions(CharOptions, total=False):
    allow_unicode: bool

class Stored(Generic[_ST, _GT]):
    """An attribute of models; declared here for projects without django-stubs, too."""

    @overload
    def __get__(self, instance: None, owner: Any) -> Any: ...
    @overload
    def __get__(self, instance: django.db.models.Model, owner: Any) -> _GT: ...
    @overload
    def __get__(self, instance: Any, owner: Any) -> Self: ...
    def __set__(self, instance: Any, value: _ST) -> None: ...

class AutoField(Stored[_ST, _GT], django.db.models.AutoField[_ST, _GT]):
    @overload
    def __init__(
        self: AutoField[int | str | Combinable, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: AutoField[int | str | Combinable | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class BigAutoField(Stored[_ST, _GT], django.db.models.BigAutoField[_ST, _GT]):
    @overload
    def __init__(
        self: BigAutoField[int | str | Combinable, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: BigAutoField[int | str | Combinable | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class SmallAutoField(Stored[_ST, _GT], django.db.models.SmallAutoField[_ST, _GT]):
    @overload
    def __init__(
        self: SmallAutoField[int | str | Combinable, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: SmallAutoField[int | str | Combinable | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class BigIntegerField(Stored[_ST, _GT], django.db.models.BigIntegerField[_ST, _GT]):
    @overload
    def __init__(
        self: BigIntegerField[Number, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: BigIntegerField[Number | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class BinaryField(Stored[_ST, _GT], django.db.models.BinaryField[_ST, _GT]):
    @overload
    def __init__(
        self: BinaryField[Bytes | Combinable, Bytes],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: BinaryField[Bytes | Combinable | None, Bytes | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...

class BooleanField(Stored[_ST, _GT], django.db.models.BooleanField[_ST, _GT]):
    @overload
    def __init__(
        self: BooleanField[bool | Combinable, bool],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: BooleanField[bool | Combinable | None, bool | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class CharField(Stored[_ST, _GT], django.db.models.CharField[_ST, _GT]):
    @overload
    def __init__(
        self: CharField[str | int | Combinable, str],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: CharField[str | int | Combinable | None, str | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...

class DateField(Stored[_ST, _GT], django.db.models.DateField[_ST, _GT]):
    @overload
    def __init__(
        self: DateField[str | datetime.date | Combinable, datetime.date],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DateOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: DateField[str | datetime.date | Combinable | None, datetime.date | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DateOptions],
    ) -> None: ...

class DateTimeField(Stored[_ST, _GT], django.db.models.DateTimeField[_ST, _GT]):
    @overload
    def __init__(
        self: DateTimeField[Moment, datetime.datetime],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DateOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: DateTimeField[
            Moment | None,
            datetime.datetime | None,
        ],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DateOptions],
    ) -> None: ...

class DecimalField(Stored[_ST, _GT], django.db.models.DecimalField[_ST, _GT]):
    @overload
    def __init__(
        self: DecimalField[Decimal, decimal.Decimal],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DecimalOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: DecimalField[Decimal | None, decimal.Decimal | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DecimalOptions],
    ) -> None: ...

class DurationField(Stored[_ST, _GT], django.db.models.DurationField[_ST, _GT]):
    @overload
    def __init__(
        self: DurationField[Span, datetime.timedelta],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: DurationField[Span | None, datetime.timedelta | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class EmailField(Stored[_ST, _GT], django.db.models.EmailField[_ST, _GT]):
    @overload
    def __init__(
        self: EmailField[Text, str],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: EmailField[Text | None, str | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...

class FloatField(Stored[_ST, _GT], django.db.models.FloatField[_ST, _GT]):
    @overload
    def __init__(
        self: FloatField[Number, float],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: FloatField[Number | None, float | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class GenericIPAddressField(
    Stored[_ST, _GT], django.db.models.GenericIPAddressField[_ST, _GT]
):
    @overload
    def __init__(
        self: GenericIPAddressField[Text, str],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[AddressOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: GenericIPAddressField[Text | None, str | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[AddressOptions],
    ) -> None: ...

class IntegerField(Stored[_ST, _GT], django.db.models.IntegerField[_ST, _GT]):
    @overload
    def __init__(
        self: IntegerField[Number, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: IntegerField[Number | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class JSONField(Stored[_ST, _GT], django.db.models.JSONField[_ST, _GT]):
    def __init__(
        self: JSONField[Any, Any],
        verbose_name: Any = None,
        *,
        null: bool = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[JSONOptions],
    ) -> None: ...

class PositiveBigIntegerField(
    Stored[_ST, _GT], django.db.models.PositiveBigIntegerField[_ST, _GT]
):
    @overload
    def __init__(
        self: PositiveBigIntegerField[Number, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: PositiveBigIntegerField[Number | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class PositiveIntegerField(
    Stored[_ST, _GT], django.db.models.PositiveIntegerField[_ST, _GT]
):
    @overload
    def __init__(
        self: PositiveIntegerField[Number, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: PositiveIntegerField[Number | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class PositiveSmallIntegerField(
    Stored[_ST, _GT], django.db.models.PositiveSmallIntegerField[_ST, _GT]
):
    @overload
    def __init__(
        self: PositiveSmallIntegerField[Number, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: PositiveSmallIntegerField[Number | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class SlugField(Stored[_ST, _GT], django.db.models.SlugField[_ST, _GT]):
    @overload
    def __init__(
        self: SlugField[Text, str],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[SlugOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: SlugField[Text | None, str | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[SlugOptions],
    ) -> None: ...

class SmallIntegerField(Stored[_ST, _GT], django.db.models.SmallIntegerField[_ST, _GT]):
    @overload
    def __init__(
        self: SmallIntegerField[Number, int],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: SmallIntegerField[Number | None, int | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...

class TextField(Stored[_ST, _GT], django.db.models.TextField[_ST, _GT]):
    @overload
    def __init__(
        self: TextField[Text, str],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: TextField[Text | None, str | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...

class TimeField(Stored[_ST, _GT], django.db.models.TimeField[_ST, _GT]):
    @overload
    def __init__(
        self: TimeField[Time, datetime.time],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DateOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: TimeField[
            Time | None,
            datetime.time | None,
        ],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[DateOptions],
    ) -> None: ...

class URLField(Stored[_ST, _GT], django.db.models.URLField[_ST, _GT]):
    @overload
    def __init__(
        self: URLField[Text, str],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: URLField[Text | None, str | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[CharOptions],
    ) -> None: ...

class UUIDField(Stored[_ST, _GT], django.db.models.UUIDField[_ST, _GT]):
    @overload
    def __init__(
        self: UUIDField[str | uuid.UUID | Combinable, uuid.UUID],
        verbose_name: Any = None,
        *,
        null: Literal[False] = False,
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: UUIDField[str | uuid.UUID | Combinable | None, uuid.UUID | None],
        verbose_name: Any = None,
        *,
        null: Literal[True],
        default: Any = ...,
        primary_key: bool = False,
        **options: Unpack[Options],
    ) -> None: ...
