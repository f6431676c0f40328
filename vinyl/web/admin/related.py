"""The fields for related objects: which widget a foreign key or many-to-many gets."""

from __future__ import annotations

import json
from copy import copy
from functools import partial
from typing import Any

from django.contrib.admin import widgets
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import quote
from django.db.models import Field
from django.forms import Media
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext

from vinyl.web.admin.filters import finder
from vinyl.web.admin.held import LOOKUP
from vinyl.web.admin.keys import is_key

__all__ = ["RelatedFields", "completion"]

# More options than this are not put into a page, whoever asks for them.
MAX_OPTIONS = 1000


class RelatedFields(BaseModelAdmin):  # type: ignore[type-arg]  # not generic at runtime
    """
    Choose the widget of each foreign key and many-to-many by the number of objects to
    choose from, which a query with a limit counts.
    """

    def formfield_for_foreignkey(
        self, db_field: Any, request: Any, **kwargs: Any
    ) -> Any:
        options = self._options_of_widget(db_field, request, kwargs)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def formfield_for_manytomany(
        self, db_field: Any, request: Any, **kwargs: Any
    ) -> Any:
        if db_field.remote_field.through._meta.auto_created:
            kwargs = self._options_of_widget(db_field, request, kwargs)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        widget = getattr(field, "widget", None)
        if field is not None and type(widget) is widgets.RelatedFieldWidgetWrapper:
            field.widget = RelatedWidget.around(widget)
        return field

    def _options_of_widget(
        self, db_field: Any, request: Any, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Return *options* of the form field, with a widget unless it is Django's."""
        name = db_field.name
        if "widget" in options or name in self.raw_id_fields:
            return options
        kind = _kind(self, db_field, request, options)
        if not kind:
            return options
        several = db_field.many_to_many
        using = options.get("using")
        if kind == "complete":
            complete = CompletingSelectMultiple if several else CompletingSelect
            widget: Any = complete(db_field, self.admin_site, using=using)
        else:
            raw = RawKeys if several else widgets.ForeignKeyRawIdWidget
            widget = raw(db_field.remote_field, self.admin_site, using=using)
        return {**options, "widget": widget}


def _kind(options: Any, db_field: Any, request: Any, given: dict[str, Any]) -> str:
    """Return "complete", "raw", or "" for a field whose page holds all options."""
    known = request.__dict__.setdefault("_vinyl_related", {})
    key = (type(options), options.model, db_field)
    if key not in known:
        known[key] = _decide(options, db_field, request, given)
    kind: str = known[key]
    return kind


def _decide(options: Any, db_field: Any, request: Any, given: dict[str, Any]) -> str:
    name = db_field.name
    target = _admin_of(options.admin_site, db_field.remote_field.model)
    can_look_up = target is not None and target.has_view_permission(request)
    can_complete = can_look_up and bool(target.get_search_fields(request))
    if name in options.get_autocomplete_fields(request):
        return "complete" if can_complete else "raw"
    site_threshold = getattr(options.admin_site, "autocomplete_threshold", None)
    threshold = getattr(options, "autocomplete_threshold", site_threshold)
    if threshold is None:
        return ""
    chosen = {*options.radio_fields, *options.filter_horizontal}
    chosen |= {*options.filter_vertical}
    limit = max(threshold, MAX_OPTIONS)
    if can_look_up and name not in chosen:
        limit = threshold
    if _number_of_options(options, db_field, request, given, limit + 1) <= limit:
        return ""
    return "complete" if can_complete else "raw"


def _number_of_options(
    options: Any, db_field: Any, request: Any, given: dict[str, Any], limit: int
) -> int:
    using = given.get("using")
    queryset = given.get("queryset")
    if queryset is None:
        queryset = options.get_field_queryset(using, db_field, request)
    if queryset is None:
        queryset = db_field.remote_field.model._default_manager.using(using)
    restricted = queryset.complex_filter(db_field.get_limit_choices_to())
    number: int = restricted.order_by()[:limit].count()
    return number


def _admin_of(site: Any, model: Any) -> Any:
    try:
        return site.get_model_admin(model)
    except NotRegistered:
        return None


class _Completing(widgets.AutocompleteMixin):
    """A select with the chosen objects alone. The script related.js completes it."""

    template_name = "admin/widgets/completing.html"

    @property
    def media(self) -> Media:
        # The script is part of every page.
        return Media()

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        attrs.pop("lang", None)
        attrs["data-texts"] = json.dumps(
            {
                "clear": gettext("Clear"),
                "failed": gettext("The results could not be loaded."),
                "found": ngettext("%(counter)s result", "%(counter)s results", 20),
                "loading": gettext("Loading…"),
                "none": gettext("None available"),
                "remove": gettext("Remove"),
            }
        )
        return attrs

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        # What was tampered with is no key to look up.
        target = self.field.target_field
        keys = [one for one in value if one == "" or is_key(target, one)]
        return super().optgroups(name, keys, attr)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        widget: Any = super()
        context: dict[str, Any] = widget.get_context(name, value, attrs)
        opts = self.field.model._meta
        query = {
            "app_label": opts.app_label,
            "model_name": opts.model_name,
            "field_name": self.field.name,
            "name": name,
        }
        context["lookup"] = {"name": LOOKUP, "value": urlencode(query)}
        return context


class CompletingSelect(  # type: ignore[misc]  # the mixin has no base
    _Completing, widgets.AutocompleteSelect
):
    """For a foreign key."""


def completion(changelist: Any, spec: Any) -> dict[str, Any] | None:
    """
    Return the attributes of the select in which scripts complete the choices of *spec*,
    a filter of *changelist* with a field to find them. None if it lists all of them, or
    if completion would offer others than the filter does. Never switches.
    """
    found = finder(spec)
    offers_less = getattr(spec, "vinyl_related_only", False)
    field = spec.field if found and found.searches and not offers_less else None
    # The view for completion knows the fields of models, and not their reverse.
    if not isinstance(field, Field):
        return None
    select = CompletingSelect(field, changelist.model_admin.admin_site)
    return {"name": spec.lookup_kwarg, **select.build_attrs({})}


class CompletingSelectMultiple(  # type: ignore[misc]  # as above
    _Completing, widgets.AutocompleteSelectMultiple
):
    """For a many-to-many relation."""


class RawKeys(widgets.ManyToManyRawIdWidget):
    """
    Keys with commas between them. It takes several values as well, from a select that
    was on the page while there were fewer objects.
    """

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        values = data.getlist(name) if hasattr(data, "getlist") else [data.get(name)]
        return [key for value in values if value for key in value.split(",")]


class RelatedWidget(widgets.RelatedFieldWidgetWrapper):
    """
    A widget with links that add, change, view or delete an object: in a window whose
    result is put into the field, or in a new tab without scripts.
    """

    @classmethod
    def around(cls, django: widgets.RelatedFieldWidgetWrapper) -> RelatedWidget:
        """Return a copy of Django's wrapper."""
        made = cls(django.widget, django.rel, django.admin_site, django.can_add_related)
        for action in ("change", "delete", "view"):
            name = f"can_{action}_related"
            setattr(made, name, getattr(django, name))
        return made

    def render(
        self, name: str, value: Any, attrs: Any = None, renderer: Any = None
    ) -> Any:
        # Django's renders the widget inside with the project's renderer.
        own: Any = copy(self)
        own.widget = _Inside(self.widget, renderer)
        return super(RelatedWidget, own).render(name, value, attrs, renderer)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        opts = self.rel.model._meta
        context |= {
            "field_id": (attrs or {}).get("id") or f"id_{name}",
            "model_label": opts.label_lower,
            "related_field": self.rel.get_related_field().name,
            "chosen": "" if value is None or isinstance(value, list) else quote(value),
        }
        return context


class _Inside:
    def __init__(self, widget: Any, renderer: Any) -> None:
        self.is_hidden = widget.is_hidden
        self.render = partial(widget.render, renderer=renderer)
