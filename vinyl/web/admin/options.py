"""ModelAdmin and the inlines: Django's, adapted to vinyl's pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest
from django.db import models
from django.forms import Media
from django.utils.translation import gettext

from vinyl.bridge.mode import dual_if_async
from vinyl.web.admin.audit import AuditedChanges
from vinyl.web.admin.cascades import BatchedDeletions, is_own
from vinyl.web.admin.changelist import ChangeList
from vinyl.web.admin.editing import SafeEditing, SafeRows
from vinyl.web.admin.keys import SeveralKeys, is_key
from vinyl.web.admin.listing import ListOptions
from vinyl.web.admin.reauthentication import guard_form
from vinyl.web.admin.related import RelatedFields
from vinyl.web.admin.widgets import FORM_FIELDS, JSONField, Renderer, named

__all__ = ["ModelAdmin", "StackedInline", "TabularInline", "adapted"]

# Stands for a form field of which only the name is read.
ANY_FIELD = forms.Field()

_FORMFIELD_METHODS = [
    f"formfield_for_{kind}"
    for kind in ("dbfield", "choice_field", "foreignkey", "manytomany")
]


@cache
def adapted(cls: type, base: type) -> type:
    """
    Return *cls* if it is a subclass of *base*, otherwise a class that inherits from
    both, or *base* if *cls* is one of its bases. Never switches.

    Args:
        cls: The project's class, vinyl's or Django's.
        base: The class of vinyl.
    """
    if issubclass(cls, base):
        return cls
    if issubclass(base, cls):
        return base
    namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__}
    metaclass: Any = type(cls)
    return metaclass(cls.__name__, (cls, base), namespace)


class _Options(RelatedFields):
    """The options that ModelAdmin and the inlines share."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # Above the defaults that super() has set, below those of the class itself.
        own: Any = self
        chosen = type(self).formfield_overrides
        for field, options in FORM_FIELDS.items():
            own.formfield_overrides[field] = {
                **own.formfield_overrides[field],
                **options,
                **chosen.get(field, {}),
            }

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        # Not in FORM_FIELDS: subclasses of the field may have form fields of their own.
        chosen = self.formfield_overrides.get(models.JSONField, {})
        if type(db_field) is models.JSONField and "form_class" not in chosen:
            kwargs.setdefault("form_class", JSONField)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def _for_names(self, request: Any, hook: str) -> dict[str, Any]:
        """
        Arguments of *hook* for a form of which only the names of the fields are read:
        simple fields, unless a method of the project makes or sees them.
        """
        if not is_own(self, hook, *_FORMFIELD_METHODS):
            return {}

        def simple(field: Any, **kwargs: Any) -> Any:
            own = type(field).__module__.startswith("django.db.models.fields")
            if own and not field.primary_key:
                has_field = not field.many_to_many or (
                    field.remote_field.through._meta.auto_created
                )
                return ANY_FIELD if has_field else None
            return self.formfield_for_dbfield(field, request, **kwargs)

        return {"formfield_callback": simple}

    @property
    def media(self) -> Media:
        """No scripts of Django's; subclasses may add their own in `class Media`."""
        return Media()


class ModelAdmin(_Options, SafeEditing, AuditedChanges, BatchedDeletions, ListOptions):
    """
    Django's ModelAdmin, with `list_display`, `search_fields`, `list_filter`,
    `fieldsets` and all its methods. It runs in the bridge, so a method that you
    override may use the database without `await`, or be `async def`.

    Args:
        model: The model.
        admin_site: The site that it is registered at.
    """

    # Whether the search over all models looks here, if there are `search_fields`.
    in_site_search = True
    # What asks for the password once more; None for what the site says.
    reauthenticate_for: Collection[str] | None = None

    def changelist_view(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with _refusing_huge_numbers():
            return super().changelist_view(request, *args, **kwargs)

    def changeform_view(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with _refusing_huge_numbers():
            return super().changeform_view(request, *args, **kwargs)

    def get_object(
        self, request: Any, object_id: str, from_field: str | None = None
    ) -> Any:
        # An empty `_to_field` means the primary key.
        return super().get_object(request, object_id, from_field or None)

    def get_changelist(self, request: Any, **kwargs: Any) -> type[ChangeList]:
        return ChangeList

    def get_form(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        form = _rendered(super().get_form(request, *args, **kwargs))
        guard_form(form, request, self)
        return form

    def get_changelist_form(self, request: Any, **kwargs: Any) -> Any:
        form = _rendered(super().get_changelist_form(request, **kwargs))
        guard_form(form, request, self)
        return form

    def get_changelist_formset(self, request: Any, **kwargs: Any) -> Any:
        formset = super().get_changelist_formset(request, **kwargs)
        named(formset.form)
        return formset

    def _get_form_for_get_fields(self, request: Any, obj: Any) -> Any:
        simple = self._for_names(request, "get_form")
        return self.get_form(request, obj, fields=None, **simple)

    def get_inlines(self, request: Any, obj: Any) -> list[Any]:
        inlines = super().get_inlines(request, obj)
        return [adapted(inline, _Inline) for inline in inlines]

    def _get_edited_object_pks(self, request: Any, prefix: str) -> list[str]:
        # Rows with other keys have an error, and the table is not searched for them.
        keys = super()._get_edited_object_pks(request, prefix)
        return [key for key in keys if is_key(self.opts.pk, key)]

    def get_action(self, action: Any, *args: Any, **kwargs: Any) -> Any:
        if callable(action):
            action = dual_if_async(action)
        return super().get_action(action, *args, **kwargs)

    def response_action(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the chosen action; refuse values that are not keys of the model."""
        keys = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(is_key(self.opts.pk, key) for key in keys):
            self.message_user(request, gettext("No action selected."), messages.ERROR)
            return None
        return super().response_action(request, *args, **kwargs)


class _Inline(_Options, SafeRows):
    def _get_form_for_get_fields(self, request: Any, obj: Any = None) -> Any:
        simple = self._for_names(request, "get_formset")
        return self.get_formset(request, obj, fields=None, **simple).form

    def get_formset(self, request: Any, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        _rendered(formset.form)
        guard_form(formset.form, request, self)
        if isinstance(self, admin.TabularInline):
            named(formset.form)
        return formset


class StackedInline(_Inline, admin.StackedInline):  # type: ignore[type-arg]
    """Django's StackedInline; its methods may be `async def`."""


class TabularInline(_Inline, admin.TabularInline):  # type: ignore[type-arg]
    """Django's TabularInline; its methods may be `async def`."""


@contextmanager
def _refusing_huge_numbers() -> Iterator[None]:
    """
    Respond with 400 to keys that are too large for SQLite, which Django's `__in` does
    not check.
    """
    try:
        yield
    except OverflowError as error:
        raise BadRequest(f"A number in the request is too large: {error}") from error


def _rendered(form: Any) -> Any:
    """
    Give *form*, a class made for one request, vinyl's templates for widgets, and errors
    for numbers that no key can be.
    """
    if form.default_renderer is None:
        form.default_renderer = Renderer
    for name, field in form.base_fields.items():
        if isinstance(field, forms.ModelMultipleChoiceField):
            # A field that a class of the project declares is no request's.
            own: Any = copy(field)
            form.base_fields[name] = own
            kind: Any = type(field)
            own.__class__ = adapted(kind, SeveralKeys)
    return form
