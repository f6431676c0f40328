"""The fields of the admin's forms: the browser's own widgets, without scripts."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.db import models
from django.forms.fields import InvalidJSONInput
from django.forms.renderers import BaseRenderer, get_default_renderer
from django.forms.utils import pretty_name
from django.template import TemplateDoesNotExist, loader
from django.utils.translation import gettext

__all__ = ["FORM_FIELDS", "JSONField", "Renderer", "named"]


class DateInput(forms.DateInput):
    """A date, with the browser's own calendar."""

    input_type = "date"

    def __init__(self, attrs: Any = None) -> None:
        # The format that browsers send and accept, whatever they show.
        super().__init__(attrs, format="%Y-%m-%d")


class TimeInput(forms.TimeInput):
    """A time, with the browser's own input."""

    input_type = "time"

    def __init__(self, attrs: Any = None) -> None:
        # A step of one second keeps the seconds of a time.
        super().__init__({"step": 1, **(attrs or {})}, format="%H:%M:%S")


class SplitDateTime(forms.SplitDateTimeWidget):
    """A date beside a time, in the current time zone."""

    template_name = "admin/widgets/split_datetime.html"

    def __init__(self, attrs: Any = None) -> None:
        forms.MultiWidget.__init__(self, [DateInput, TimeInput], attrs)


class ImageInput(AdminFileWidget):
    """A file to upload, with a preview of the picture that is there."""

    template_name = "admin/widgets/clearable_image_input.html"


class JSONField(forms.JSONField):
    """JSON, laid out to be read."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False, cls=self.encoder)


# Like Django's formfield_overrides: options of the form field by model field.
FORM_FIELDS: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    models.DateTimeField: {
        "form_class": forms.SplitDateTimeField,
        "widget": SplitDateTime,
    },
    models.DateField: {"widget": DateInput},
    models.TimeField: {"widget": TimeInput},
    models.ImageField: {"widget": ImageInput},
    models.URLField: {"assume_scheme": "https"},
}


class Renderer(BaseRenderer):
    """
    Render the admin's own widgets with the templates of `settings.TEMPLATES`, so that a
    project can replace them, and all others with the project's form renderer.
    """

    def render(self, template_name: str, context: Any, request: Any = None) -> str:
        return super().render(template_name, {"_": gettext, **context}, request)

    def get_template(self, template_name: str) -> Any:
        if template_name.startswith("admin/"):
            try:
                return loader.get_template(template_name)
            except TemplateDoesNotExist:
                # The widget has no template of vinyl. Django's fits any page.
                pass
        return get_default_renderer().get_template(template_name)


def named(form: Any) -> Any:
    """
    Return *form*, a class for the rows of a table, whose widgets tell their labels to
    screen readers: in a cell they have no `<label>`. Never switches.

    Args:
        form: The class; its fields are changed.
    """
    for name, field in form.base_fields.items():
        # Within the one that adds buttons for related objects.
        widget = getattr(field.widget, "widget", field.widget)
        widget.attrs.setdefault("aria-label", field.label or pretty_name(name))
    return form
