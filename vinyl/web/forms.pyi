"""The names of `django.forms`, with what is dual-mode returning `Dual`."""

# Django's return the values themselves, which what is dual-mode gives when awaited.
# mypy: disable-error-code="override"

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, TypedDict

import django.forms
from django.db.models import Model
from django.forms import (
    ALL_FIELDS as ALL_FIELDS,
)
from django.forms import (
    BaseForm as BaseForm,
)
from django.forms import (
    BaseModelForm as BaseModelForm,
)
from django.forms import (
    BooleanField as BooleanField,
)
from django.forms import (
    BoundField as BoundField,
)
from django.forms import (
    CharField as CharField,
)
from django.forms import (
    ChoiceField as ChoiceField,
)
from django.forms import (
    ComboField as ComboField,
)
from django.forms import (
    DateField as DateField,
)
from django.forms import (
    DateTimeField as DateTimeField,
)
from django.forms import (
    DecimalField as DecimalField,
)
from django.forms import (
    DurationField as DurationField,
)
from django.forms import (
    EmailField as EmailField,
)
from django.forms import (
    Field as Field,
)
from django.forms import (
    FileField as FileField,
)
from django.forms import (
    FilePathField as FilePathField,
)
from django.forms import (
    FloatField as FloatField,
)
from django.forms import (
    GenericIPAddressField as GenericIPAddressField,
)
from django.forms import (
    ImageField as ImageField,
)
from django.forms import (
    IntegerField as IntegerField,
)
from django.forms import (
    JSONField as JSONField,
)
from django.forms import (
    ModelChoiceField as ModelChoiceField,
)
from django.forms import (
    ModelMultipleChoiceField as ModelMultipleChoiceField,
)
from django.forms import (
    MultipleChoiceField as MultipleChoiceField,
)
from django.forms import (
    MultiValueField as MultiValueField,
)
from django.forms import (
    NullBooleanField as NullBooleanField,
)
from django.forms import (
    RegexField as RegexField,
)
from django.forms import (
    SlugField as SlugField,
)
from django.forms import (
    SplitDateTimeField as SplitDateTimeField,
)
from django.forms import (
    TimeField as TimeField,
)
from django.forms import (
    TypedChoiceField as TypedChoiceField,
)
from django.forms import (
    TypedMultipleChoiceField as TypedMultipleChoiceField,
)
from django.forms import (
    URLField as URLField,
)
from django.forms import (
    UUIDField as UUIDField,
)
from django.forms import (
    ValidationError as ValidationError,
)
from django.forms import (
    fields_for_model as fields_for_model,
)
from django.forms import (
    model_to_dict as model_to_dict,
)
from django.forms.widgets import *  # noqa: F403  # none is redefined below
from typing_extensions import TypeVar, Unpack

from vinyl.bridge.calls import Dual
from vinyl.bridge.patching import Patch

_M = TypeVar("_M", bound=Model)
_Parent = TypeVar("_Parent", bound=Model)
_F = TypeVar("_F", bound=django.forms.BaseForm)

TABLE: tuple[Patch, ...]

class Form(django.forms.Form):
    def is_valid(self) -> Dual[bool]: ...
    def full_clean(self) -> Dual[None] | Any: ...

class ModelForm(django.forms.ModelForm[_M]):
    def is_valid(self) -> Dual[bool]: ...
    def full_clean(self) -> Dual[None] | Any: ...
    # Overrides may return the instance or be async.
    def save(self, commit: bool = True) -> Dual[_M] | Any: ...

_MF = TypeVar("_MF", bound=django.forms.ModelForm[Any], default=ModelForm[_M])

class BaseFormSet(django.forms.BaseFormSet[_F]):
    def is_valid(self) -> Dual[bool]: ...
    def full_clean(self) -> Dual[None] | Any: ...

class BaseModelFormSet(
    BaseFormSet[_MF], django.forms.BaseModelFormSet[_M, _MF], Generic[_M, _MF]
):
    def save(self, commit: bool = True) -> Dual[list[_M]] | Any: ...
    def save_m2m(self) -> Dual[None]: ...

class BaseInlineFormSet(
    BaseModelFormSet[_M, _MF],
    django.forms.BaseInlineFormSet[_M, _Parent, _MF],
    Generic[_M, _Parent, _MF],
): ...

class FormSetOptions(TypedDict, total=False):
    extra: int
    can_order: bool
    can_delete: bool
    can_delete_extra: bool
    min_num: int | None
    max_num: int | None
    absolute_max: int | None
    validate_min: bool
    validate_max: bool
    renderer: Any

class ModelFormOptions(TypedDict, total=False):
    fields: Collection[str] | None
    exclude: Collection[str] | None
    formfield_callback: Any
    widgets: Mapping[str, Any] | None
    localized_fields: Collection[str] | None
    labels: Mapping[str, Any] | None
    help_texts: Mapping[str, Any] | None
    error_messages: Mapping[str, Any] | None
    field_classes: Mapping[str, type[django.forms.Field]] | None

class ModelFormSetOptions(FormSetOptions, ModelFormOptions, total=False):
    edit_only: bool

def all_valid(formsets: Sequence[django.forms.BaseFormSet[Any]]) -> Dual[bool]: ...
def formset_factory(
    form: type[_F],
    formset: type[django.forms.BaseFormSet[_F]] = ...,
    **options: Unpack[FormSetOptions],
) -> type[BaseFormSet[_F]]: ...
def modelform_factory(
    model: type[_M],
    form: type[django.forms.ModelForm[_M]] = ...,
    **options: Unpack[ModelFormOptions],
) -> type[ModelForm[_M]]: ...
def modelformset_factory(
    model: type[_M],
    form: type[_MF] = ...,
    *,
    formset: type[django.forms.BaseModelFormSet[Any, Any]] = ...,
    **options: Unpack[ModelFormSetOptions],
) -> type[BaseModelFormSet[_M, _MF]]: ...
def inlineformset_factory(
    parent_model: type[_Parent],
    model: type[_M],
    form: type[_MF] = ...,
    formset: type[django.forms.BaseInlineFormSet[Any, Any, Any]] = ...,
    fk_name: str | None = None,
    **options: Unpack[ModelFormSetOptions],
) -> type[BaseInlineFormSet[_M, _Parent, _MF]]: ...
