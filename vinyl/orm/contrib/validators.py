"""Validators of model fields and form fields that are `async def`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from vinyl.bridge.mode import suspend_or_refuse
from vinyl.bridge.patching import Patch

__all__ = ["TABLE"]


def patch_run_validators(run_validators: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch a field's `run_validators` to wait for async validators. Otherwise nothing
    would run their coroutines, and every value would be valid.
    """

    @functools.wraps(run_validators)
    def run(self: Any, value: Any) -> None:
        if any(map(_is_async, self.validators)):
            self.validators = [
                _waiting_for(validator) if _is_async(validator) else validator
                for validator in self.validators
            ]
        run_validators(self, value)

    return run


def _is_async(validator: Any) -> bool:
    is_async = inspect.iscoroutinefunction
    return is_async(validator) or is_async(validator.__call__)


def _waiting_for(validator: Any) -> Callable[[Any], None]:
    def validate(value: Any) -> None:
        suspend_or_refuse(validator(value))

    return validate


TABLE = (
    Patch("django.db.models.fields:Field", "run_validators", patch_run_validators),
    Patch("django.forms.fields:Field", "run_validators", patch_run_validators),
)
