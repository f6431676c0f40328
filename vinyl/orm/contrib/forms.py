"""
Django's forms in both modes.

On the event loop write `await form.is_valid()` and `await form.save()`; in plain views,
templates and sync code the same calls without `await`. Validating or saving a form runs
in the bridge as a whole, including methods that its class overrides.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from copy import copy
from typing import Any, NoReturn

from django.db.models import QuerySet
from django.utils.functional import cached_property

from vinyl.bridge.greenlets import run
from vinyl.bridge.mode import dual, dual_if_async, is_dual, runs_sync
from vinyl.bridge.patching import Patch
from vinyl.exceptions import NotAwaitedError

__all__ = ["TABLE"]


def run_nowait(fn: Callable[..., Any], *args: Any) -> Any:
    """
    Return `fn(*args)`, called as sync code on the event loop.

    Raises:
        NotAwaitedError: *fn* would have to wait for the database.

    Never switches.
    """
    running = run(fn, *args)
    try:
        running.send(None)
    except StopIteration as stop:
        return stop.value
    running.close()
    raise NotAwaitedError(
        f"'{fn.__qualname__}' needs the database and was used on the event loop, which "
        f"it would block. Use it in a plain function, and run that function in the "
        f"bridge: `await vinyl.orm.run(function, ...)`."
    )


def patch_validation_result(getter: Any) -> Any:
    """
    Patch an attribute for which Django validates a form when it is first read: on the
    event loop, the form must have been validated before.
    """
    fget: Any = getter.fget if isinstance(getter, property) else getter

    @functools.wraps(fget)
    def get(self: Any) -> Any:
        if runs_sync():
            return fget(self)
        if self.is_bound and self._errors is None:
            raise NotAwaitedError(
                f"{type(self).__name__}.{fget.__name__} was used before the form was "
                f"validated, which may need the database. Write `await "
                f"form.is_valid()` first."
            )
        return run_nowait(fget, self)

    return property(get) if isinstance(getter, property) else get


def patch_management_form(getter: cached_property[Any]) -> cached_property[Any]:
    """Patch a cached property that validates a form without a query."""

    @functools.wraps(getter.func)
    def get(self: Any) -> Any:
        return getter.func(self) if runs_sync() else run_nowait(getter.func, self)

    changed = cached_property(get)
    changed.__set_name__(object, getter.func.__name__)
    return changed


class NotCleaned:
    """Explains the missing `cleaned_data` of a form that has not been validated."""

    def __get__(self, form: Any, cls: type) -> NoReturn:
        raise AttributeError(
            f"{cls.__name__} has no cleaned_data, because it has not been validated. "
            f"Call form.is_valid() first (on the event loop, `await form.is_valid()`)."
        )


def patch_full_clean(full_clean: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `full_clean` to load the querysets in the initial data, so that the form knows
    the values from before it is saved. See patch_value_from_object().
    """
    if inspect.iscoroutinefunction(full_clean):
        return dual(full_clean)

    @functools.wraps(full_clean)
    def load_and_clean(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (instance := getattr(self, "instance", None)) is not None:
            for field in instance._meta.many_to_many:
                if isinstance(before := self.initial.get(field.name), QuerySet):
                    before._fetch_all()
        return full_clean(self, *args, **kwargs)

    return dual(load_and_clean)


def patch_value_from_object(
    value_from_object: Callable[..., Any],
) -> Callable[..., Any]:
    """
    Patch `value_from_object` of a many-to-many field, which gives the initial data of a
    form: on the event loop it returns a queryset, because making a form cannot wait.
    """

    @functools.wraps(value_from_object)
    def value(self: Any, obj: Any) -> Any:
        if runs_sync() or obj.pk is None:
            return value_from_object(self, obj)
        return getattr(obj, self.attname).all()

    return value


def patch_choices(choices: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch the iteration over the choices of a model field to read them with one query.
    Django's `iterator()` has a cursor in the server, which takes several round trips
    and saves no memory, because each choice of a widget refers to its object.
    """

    @functools.wraps(choices)
    def __iter__(self: Any) -> Any:
        if not (runs_sync() and _is_iterated_as_django_does(self.queryset)):
            return choices(self)
        own = copy(self)
        own.queryset = self.queryset.all()
        # Of another copy, so that none refers to itself and all are freed at once.
        own.queryset.iterator = self.queryset.all().__iter__
        return choices(own)

    return __iter__


def _is_iterated_as_django_does(queryset: Any) -> bool:
    return isinstance(queryset, QuerySet) and all(
        getattr(type(queryset), name) is getattr(QuerySet, name)
        for name in ("__iter__", "_fetch_all", "iterator")
    )


def patch_save(save: Callable[..., Any]) -> Callable[..., Any]:
    """Patch a formset's `save()`, which makes `save_m2m()` while it runs."""
    if inspect.iscoroutinefunction(save):
        return dual(save)

    @functools.wraps(save)
    def save_and_patch_save_m2m(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = save(self, *args, **kwargs)
        later = vars(self).get("save_m2m")
        if later is not None and not is_dual(later):
            later.__qualname__ = f"{type(self).__name__}.save_m2m"
            self.save_m2m = dual(later)
        return result

    return dual(save_and_patch_save_m2m)


_FORM = "django.forms.forms:BaseForm"
_FIELD = "django.forms.fields:Field"
_FORMSET = "django.forms.formsets:BaseFormSet"

TABLE = (
    # BaseForm has no save(): model forms have, and users' forms that define one.
    Patch(_FORM, "is_valid clean save _save_m2m", dual, inherited=True),
    Patch(_FORM, "full_clean", patch_full_clean, inherited=True),
    # The last two are hooks of the forms of django.contrib.auth.
    Patch(
        _FORM, "clean_* confirm_login_allowed send_mail", dual_if_async, inherited=True
    ),
    Patch(_FORM, "errors", patch_validation_result),
    Patch(_FORM, "cleaned_data", lambda missing: NotCleaned()),
    Patch(_FIELD, "clean to_python validate", dual_if_async, inherited=True),
    Patch(
        _FORMSET,
        "is_valid full_clean clean save_new save_existing delete_existing "
        "save_new_objects save_existing_objects",
        dual,
        inherited=True,
    ),
    Patch(_FORMSET, "save", patch_save, inherited=True),
    Patch(
        _FORMSET,
        "errors non_form_errors total_error_count cleaned_data deleted_forms "
        "ordered_forms",
        patch_validation_result,
    ),
    Patch("django.forms.models:ModelChoiceIterator", "__iter__", patch_choices),
    Patch(_FORMSET, "management_form", patch_management_form),
    Patch("django.forms", "all_valid", dual),
    Patch("django.forms.formsets", "all_valid", dual),
    Patch(
        "django.db.models.fields.related:ManyToManyField",
        "value_from_object",
        patch_value_from_object,
    ),
)
