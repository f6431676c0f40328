"""The functions of the admin's templates that are vinyl's own."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

import pytest
from django import forms
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.test import override_settings
from django.utils import timezone, translation
from django.utils.safestring import mark_safe

from vinyl.web.admin import tags


class Form(forms.Form):
    title = forms.CharField()
    position = forms.IntegerField(widget=forms.HiddenInput)

    def clean(self) -> None:
        raise forms.ValidationError("As a whole")


class TestFormErrors:
    def test_are_those_that_no_field_shows(self) -> None:
        errors = tags.form_errors(Form({"title": "", "position": "x"}))
        assert [*errors] == [
            "As a whole",
            "(Hidden field position) Enter a whole number.",
        ]

    def test_without_those_of_hidden_fields_that_are_shown(self) -> None:
        form = Form({"title": "", "position": "x"})
        assert [*tags.form_errors(form, ["position"])] == ["As a whole"]


class TestSome:
    def test_of_few_is_all(self) -> None:
        assert tags.some(["a", ["b"], "c"], 2) == ["a", ["b"], "c"]

    def test_of_many_is_cut_after_what_belongs_to_the_last(self) -> None:
        assert tags.some(["a", ["b", "c"], "d", ["e"], "f"], 2) == [
            "a",
            ["b", "c"],
            "d",
            ["e"],
        ]


def test_the_empty_form_that_scripts_copy_is_set_apart() -> None:
    formset = forms.formset_factory(Form, extra=2)()
    forms_of_it = (*formset, formset.empty_form)
    inline = [SimpleNamespace(form=form, formset=formset) for form in forms_of_it]
    assert tags.rows(inline) == (inline[:2], inline[2])
    assert tags.rows(inline[:2]) == (inline[:2], None)
    assert tags.rows([]) == ([], None)
    assert [*map(tags.row_id, inline)] == ["form-0", "form-1", "form-empty"]


class TestMedia:
    def test_is_that_of_the_project(self) -> None:
        own = forms.Media(
            css={"all": ["own/form.css", "admin/css/widgets.css"]},
            js=["own/form.js", "admin/js/core.js"],
        )
        with override_settings(STATIC_URL="/static/"):
            shown = "".join(tags.media(own))
        assert "/static/own/form.css" in shown
        assert "/static/own/form.js" in shown
        assert "admin/" not in shown


def test_a_moment_is_in_the_visitors_time_zone_and_format() -> None:
    moment = datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.UTC)
    with timezone.override("Asia/Tokyo"), translation.override("de"):
        assert tags.moment(moment) == "1. Januar 2026 21:00"


def test_a_new_search_keeps_the_filters() -> None:
    changelist = SimpleNamespace(
        filter_params={"year": ["1965", "1966"], "q": ["x"], "p": ["2"], "e": ["1"]}
    )
    assert [*tags.other_parameters(changelist)] == [("year", "1965"), ("year", "1966")]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("title", "Title"),
        (mark_safe("<b>title</b>"), "<b>title</b>"),
        (mark_safe("title"), "title"),
        ("", ""),
    ],
)
def test_a_capital_letter(value: str, shown: str) -> None:
    assert tags.capfirst(value) == shown


@pytest.mark.parametrize(
    ("flag", "kind"),
    [(ADDITION, "addition"), (CHANGE, "change"), (DELETION, "deletion")],
)
def test_the_kind_of_an_entry(flag: int, kind: str) -> None:
    assert tags.kind(LogEntry(action_flag=flag)) == kind


@pytest.mark.parametrize(
    ("code", "direction"), [("en", "ltr"), ("de", "ltr"), ("he", "rtl")]
)
def test_the_language_of_a_page(code: str, direction: str) -> None:
    with translation.override(code):
        assert tags.language() == {"code": code, "dir": direction}
    with translation.override(None):
        assert tags.language()["code"] == "en-us"


class TestLabelled:
    def test_a_cell_carries_the_header_of_its_column(self) -> None:
        labels = tags.header_labels([{"text": mark_safe('<i>A</i> "\\1"')}])
        cell = mark_safe('<th class="field-x"><a href="/">td</a></th>')
        assert tags.labelled([cell], labels) == (
            '<th data-label="A &quot;\\1&quot;" class="field-x"><a href="/">td</a></th>'
        )

    def test_a_checkbox_has_none(self) -> None:
        header = {"text": "Select all", "class_attrib": ' class="action-checkbox-x"'}
        assert tags.header_labels([header]) == [""]

    def test_a_cell_without_a_header_is_not_lost(self) -> None:
        row = [mark_safe("<td>1</td>"), mark_safe("<td>2</td>")]
        assert tags.labelled(row, ["Number"]) == (
            '<td data-label="Number">1</td><td data-label="">2</td>'
        )
