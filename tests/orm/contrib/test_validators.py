"""Validators that are `async def`: heard in both kinds of fields, never passed over."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.test.utils import isolate_apps

from tests.records.models import Label
from vinyl.exceptions import NotAwaitedError

pytestmark = pytest.mark.anyio


async def free(value: str, message: str = "taken") -> None:
    if await Label.objects.filter(name=value).exists():
        raise ValidationError(message)


class Free:
    async def __call__(self, value: str) -> None:
        await free(value)


class Cleaning:
    async def clean(self, value: Any, *args: Any) -> Any:
        value = super().clean(value, *args)
        await free(value)
        return value


class Validating:
    async def validate(self, value: Any, *args: Any) -> None:
        await free(value)


class Converting:
    async def to_python(self, value: Any) -> Any:
        await free(value)
        return value


OWN = (Cleaning, Validating, Converting)


def own(mixin: type, base: type) -> Any:
    """A project's own class of fields."""
    return type(mixin.__name__, (mixin, base), {})


VALIDATORS: dict[str, Callable[[str], Any]] = {
    "function": free,
    "partial": functools.partial(free, message="taken"),
    "object": Free(),
}
FORM_FIELDS = {
    **{name: forms.CharField(validators=[it]) for name, it in VALIDATORS.items()},
    **{mixin.__name__: own(mixin, forms.CharField)() for mixin in OWN},
}
MODEL_FIELDS = {
    **{name: models.CharField(validators=[it]) for name, it in VALIDATORS.items()},
    **{mixin.__name__: own(mixin, models.CharField)() for mixin in OWN},
}


@pytest.mark.parametrize("name", FORM_FIELDS)
async def test_of_a_form(db: str, name: str) -> None:
    form: Any = type("OwnForm", (forms.Form,), {"name": FORM_FIELDS[name]})
    await Label.objects.create(name="Philips")
    for _ in range(2):
        taken = form({"name": "Philips"})
        assert not await taken.is_valid()
        assert taken.errors == {"name": ["taken"]}
    new = form({"name": "Verve"})
    assert await new.is_valid()
    assert new.cleaned_data == {"name": "Verve"}


@pytest.mark.parametrize("name", MODEL_FIELDS)
@isolate_apps("tests.records")
async def test_of_a_model(db: str, name: str) -> None:
    class Sleeve(models.Model):  # noqa: DJ008
        title = copy.deepcopy(MODEL_FIELDS[name])

        class Meta:
            app_label = "records"

    await Label.objects.create(name="Philips")
    for _ in range(2):
        with pytest.raises(ValidationError, match="taken"):
            await Sleeve(title="Philips").full_clean()
    new = Sleeve(title="Verve")
    await new.full_clean()
    assert new.title == "Verve"


@pytest.mark.parametrize("field", [FORM_FIELDS["function"], MODEL_FIELDS["function"]])
def test_without_an_event_loop_it_cannot_be_heard(field: Any) -> None:
    with pytest.raises(NotAwaitedError, match="'free' is async"):
        field.run_validators("Philips")


async def test_on_the_event_loop_it_is_not_passed_over() -> None:
    with pytest.raises(NotAwaitedError, match="'free' is async"):
        FORM_FIELDS["function"].run_validators("Philips")
