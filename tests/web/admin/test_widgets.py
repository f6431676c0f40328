"""The widgets of the admin's forms: the browser's own, with replaceable templates."""

from __future__ import annotations

import datetime

import pytest
from django import forms
from django.db import models
from django.template import TemplateDoesNotExist
from django.test import override_settings

from tests.web.serving import templates
from vinyl.web.admin.widgets import FORM_FIELDS, Renderer

MOMENT = datetime.datetime(1965, 10, 1, 12, 30, 59)


def rendered(field: type[models.Field], value: object, **settings: object) -> str:  # type: ignore[type-arg]
    widget = FORM_FIELDS[field].get("widget")
    assert widget is not None
    with override_settings(**settings):
        return str(widget().render("when", value, renderer=Renderer()))


@pytest.mark.parametrize("language", ["en", "de"])
def test_dates_and_times_are_in_the_format_of_browsers(language: str) -> None:
    date = rendered(models.DateField, MOMENT.date(), LANGUAGE_CODE=language)
    assert 'type="date"' in date
    assert 'value="1965-10-01"' in date
    time = rendered(models.TimeField, MOMENT.time(), LANGUAGE_CODE=language)
    assert 'type="time"' in time
    assert 'value="12:30:59"' in time
    assert 'step="1"' in time


def test_a_date_stands_beside_its_time() -> None:
    both = rendered(models.DateTimeField, MOMENT)
    assert both.index('name="when_0"') < both.index('name="when_1"')
    assert 'value="1965-10-01"' in both
    assert 'value="12:30:59"' in both


def test_addresses_are_taken_for_https() -> None:
    form_field = models.URLField().formfield(**FORM_FIELDS[models.URLField])
    assert form_field is not None
    assert form_field.clean("example.org") == "https://example.org"


class TestRenderer:
    def test_a_project_may_replace_a_template(self) -> None:
        files = {"admin/widgets/split_datetime.html": "{{ _('Yes') }} of the project"}
        assert "Yes of the project" in rendered(
            models.DateTimeField, MOMENT, **templates(files=files)
        )

    def test_other_widgets_are_the_projects(self) -> None:
        assert 'type="text"' in forms.TextInput().render("x", "", renderer=Renderer())

    def test_a_widget_of_django_without_a_template_of_vinyls_is_djangos(self) -> None:
        template = Renderer().get_template("admin/widgets/clearable_file_input.html")
        assert template.template is not None

    def test_a_template_that_nobody_has_is_missing(self) -> None:
        with pytest.raises(TemplateDoesNotExist):
            Renderer().get_template("admin/widgets/nothing_like_it.html")
