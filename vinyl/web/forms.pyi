"""
The names of `django.forms`, with what is dual-mode returning `Dual`.

Formsets keep Django's types: `await run(formset.is_valid)` is a bool.
"""

# Django's return the values themselves, which what is dual-mode gives when awaited.
# mypy: disable-error-code="override"

from typing import Any

import django.forms
from django.db.models import Model
from django.forms import (
    ALL_FIELDS as ALL_FIELDS,
)
from django.forms import (
    BaseForm as BaseForm,
)
from django.forms import (
    BaseFormSet as BaseFormSet,
)
from django.forms import (
    BaseInlineFormSet as BaseInlineFormSet,
)
from django.forms import (
    BaseModelForm as BaseModelForm,
)
from django.forms import (
    BaseModelFormSet as BaseModelFormSet,
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
    all_valid as all_valid,
)
from django.forms import (
    fields_for_model as fields_for_model,
)
from django.forms import (
    formset_factory as formset_factory,
)
from django.forms import (
    inlineformset_factory as inlineformset_factory,
)
from django.forms import (
    model_to_dict as model_to_dict,
)
from django.forms import (
    modelform_factory as modelform_factory,
)
from django.forms import (
    modelformset_factory as modelformset_factory,
)
from django.forms.widgets import *  # noqa: F403  # none is redefined below
from typing_extensions import TypeVar

from vinyl.bridge.calls import Dual
from vinyl.bridge.patching import Patch

_M = TypeVar("_M", bound=Model)

TABLE: tuple[Patch, ...]

class Form(django.forms.Form):
    def is_valid(self) -> Dual[bool]: ...
    def full_clean(self) -> Dual[None] | Any: ...

class ModelForm(django.forms.ModelForm[_M]):
    def is_valid(self) -> Dual[bool]: ...
    def full_clean(self) -> Dual[None] | Any: ...
    # Overrides may return the instance or be async.
    def save(self, commit: bool = True) -> Dual[_M] | Any: ...
