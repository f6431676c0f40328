"""
The names of `django.db.models`; those that are dual-mode with types of their own.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import (
    BLANK_CHOICE_DASH as BLANK_CHOICE_DASH,
)
from django.db.models import (
    BLANK_CHOICE_LABEL as BLANK_CHOICE_LABEL,
)
from django.db.models import (
    CASCADE as CASCADE,
)
from django.db.models import (
    DB_CASCADE as DB_CASCADE,
)
from django.db.models import (
    DB_SET_DEFAULT as DB_SET_DEFAULT,
)
from django.db.models import (
    DB_SET_NULL as DB_SET_NULL,
)
from django.db.models import (
    DEFERRED as DEFERRED,
)
from django.db.models import (
    DO_NOTHING as DO_NOTHING,
)
from django.db.models import (
    FETCH_ONE as FETCH_ONE,
)
from django.db.models import (
    FETCH_PEERS as FETCH_PEERS,
)
from django.db.models import (
    FETCH_RAISE as FETCH_RAISE,
)
from django.db.models import (
    NOT_PROVIDED as NOT_PROVIDED,
)
from django.db.models import (
    PROTECT as PROTECT,
)
from django.db.models import (
    RESTRICT as RESTRICT,
)
from django.db.models import (
    SET as SET,
)
from django.db.models import (
    SET_DEFAULT as SET_DEFAULT,
)
from django.db.models import (
    SET_NULL as SET_NULL,
)
from django.db.models import (
    Aggregate as Aggregate,
)
from django.db.models import (
    AnyValue as AnyValue,
)
from django.db.models import (
    Avg as Avg,
)
from django.db.models import (
    BaseConstraint as BaseConstraint,
)
from django.db.models import (
    BitAnd as BitAnd,
)
from django.db.models import (
    BitOr as BitOr,
)
from django.db.models import (
    BitXor as BitXor,
)
from django.db.models import (
    Case as Case,
)
from django.db.models import (
    CheckConstraint as CheckConstraint,
)
from django.db.models import (
    Choices as Choices,
)
from django.db.models import (
    CommaSeparatedIntegerField as CommaSeparatedIntegerField,
)
from django.db.models import (
    Count as Count,
)
from django.db.models import (
    Deferrable as Deferrable,
)
from django.db.models import (
    Empty as Empty,
)
from django.db.models import (
    Exists as Exists,
)
from django.db.models import (
    Expression as Expression,
)
from django.db.models import (
    ExpressionList as ExpressionList,
)
from django.db.models import (
    ExpressionWrapper as ExpressionWrapper,
)
from django.db.models import (
    F as F,
)
from django.db.models import (
    Field as Field,
)
from django.db.models import (
    FileField as FileField,
)
from django.db.models import (
    FilePathField as FilePathField,
)
from django.db.models import (
    FilteredRelation as FilteredRelation,
)
from django.db.models import (
    ForeignObject as ForeignObject,
)
from django.db.models import (
    ForeignObjectRel as ForeignObjectRel,
)
from django.db.models import (
    Func as Func,
)
from django.db.models import (
    GeneratedField as GeneratedField,
)
from django.db.models import (
    ImageField as ImageField,
)
from django.db.models import (
    Index as Index,
)
from django.db.models import (
    IntegerChoices as IntegerChoices,
)
from django.db.models import (
    IPAddressField as IPAddressField,
)
from django.db.models import (
    JSONNull as JSONNull,
)
from django.db.models import (
    Lookup as Lookup,
)
from django.db.models import (
    ManyToManyRel as ManyToManyRel,
)
from django.db.models import (
    ManyToOneRel as ManyToOneRel,
)
from django.db.models import (
    Max as Max,
)
from django.db.models import (
    Min as Min,
)
from django.db.models import (
    NullBooleanField as NullBooleanField,
)
from django.db.models import (
    ObjectDoesNotExist as ObjectDoesNotExist,
)
from django.db.models import (
    OneToOneRel as OneToOneRel,
)
from django.db.models import (
    OrderBy as OrderBy,
)
from django.db.models import (
    OrderWrt as OrderWrt,
)
from django.db.models import (
    OuterRef as OuterRef,
)
from django.db.models import (
    Prefetch as Prefetch,
)
from django.db.models import (
    ProtectedError as ProtectedError,
)
from django.db.models import (
    Q as Q,
)
from django.db.models import (
    RestrictedError as RestrictedError,
)
from django.db.models import (
    RowRange as RowRange,
)
from django.db.models import (
    StdDev as StdDev,
)
from django.db.models import (
    StringAgg as StringAgg,
)
from django.db.models import (
    Subquery as Subquery,
)
from django.db.models import (
    Sum as Sum,
)
from django.db.models import (
    TextChoices as TextChoices,
)
from django.db.models import (
    Transform as Transform,
)
from django.db.models import (
    UniqueConstraint as UniqueConstraint,
)
from django.db.models import (
    Value as Value,
)
from django.db.models import (
    ValueRange as ValueRange,
)
from django.db.models import (
    Variance as Variance,
)
from django.db.models import (
    When as When,
)
from django.db.models import (
    Window as Window,
)
from django.db.models import (
    WindowFrame as WindowFrame,
)
from django.db.models import (
    WindowFrameExclusion as WindowFrameExclusion,
)
from django.db.models import (
    aprefetch_related_objects as aprefetch_related_objects,
)
from django.db.models import (
    lookups as lookups,
)
from django.db.models import (
    signals as signals,
)

from vinyl.bridge.calls import Dual as Dual
from vinyl.orm.types.fields import (
    AutoField as AutoField,
)
from vinyl.orm.types.fields import (
    BigAutoField as BigAutoField,
)
from vinyl.orm.types.fields import (
    BigIntegerField as BigIntegerField,
)
from vinyl.orm.types.fields import (
    BinaryField as BinaryField,
)
from vinyl.orm.types.fields import (
    BooleanField as BooleanField,
)
from vinyl.orm.types.fields import (
    CharField as CharField,
)
from vinyl.orm.types.fields import (
    DateField as DateField,
)
from vinyl.orm.types.fields import (
    DateTimeField as DateTimeField,
)
from vinyl.orm.types.fields import (
    DecimalField as DecimalField,
)
from vinyl.orm.types.fields import (
    DurationField as DurationField,
)
from vinyl.orm.types.fields import (
    EmailField as EmailField,
)
from vinyl.orm.types.fields import (
    FloatField as FloatField,
)
from vinyl.orm.types.fields import (
    GenericIPAddressField as GenericIPAddressField,
)
from vinyl.orm.types.fields import (
    IntegerField as IntegerField,
)
from vinyl.orm.types.fields import (
    JSONField as JSONField,
)
from vinyl.orm.types.fields import (
    PositiveBigIntegerField as PositiveBigIntegerField,
)
from vinyl.orm.types.fields import (
    PositiveIntegerField as PositiveIntegerField,
)
from vinyl.orm.types.fields import (
    PositiveSmallIntegerField as PositiveSmallIntegerField,
)
from vinyl.orm.types.fields import (
    SlugField as SlugField,
)
from vinyl.orm.types.fields import (
    SmallAutoField as SmallAutoField,
)
from vinyl.orm.types.fields import (
    SmallIntegerField as SmallIntegerField,
)
from vinyl.orm.types.fields import (
    TextField as TextField,
)
from vinyl.orm.types.fields import (
    TimeField as TimeField,
)
from vinyl.orm.types.fields import (
    URLField as URLField,
)
from vinyl.orm.types.fields import (
    UUIDField as UUIDField,
)
from vinyl.orm.types.models import Model as Model
from vinyl.orm.types.querysets import Manager as Manager
from vinyl.orm.types.querysets import QuerySet as QuerySet
from vinyl.orm.types.querysets import RawQuerySet as RawQuerySet
from vinyl.orm.types.relations import ForeignKey as ForeignKey
from vinyl.orm.types.relations import ManyRelatedManager as ManyRelatedManager
from vinyl.orm.types.relations import ManyToManyField as ManyToManyField
from vinyl.orm.types.relations import OneToOneField as OneToOneField
from vinyl.orm.types.relations import RelatedManager as RelatedManager

def prefetch_related_objects(
    model_instances: Sequence[Any], *related_lookups: str | Prefetch[Any, Any, Any]
) -> Dual[None]: ...
