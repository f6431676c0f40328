"""Forms that are shown again with what was typed, and not saved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.http import QueryDict

from vinyl.web.admin.held import (
    asks_for_lookup,
    hold_form,
    hold_formset,
    kept_fields,
    reason_of,
    take_choice,
)


def posting(query: str) -> Any:
    return SimpleNamespace(method="POST", POST=QueryDict(query))


def test_the_fields_of_the_form_are_kept_without_those_of_the_search() -> None:
    data = QueryDict("a=1&a=2&b=&_lookup=x&_term=y&_page=2&_chosen=3&_save=1")
    expected = [("a", "1"), ("a", "2"), ("b", ""), ("_save", "1")]
    assert [*kept_fields(data)] == expected


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("_lookup=x", True),
        ("_lookup=x&_chosen=1", False),
        ("_lookup=x&_held=1", False),
        ("a=1", False),
    ],
)
def test_what_asks_for_the_search(query: str, asks: bool) -> None:
    assert asks_for_lookup(posting(query)) is asks
    assert not asks_for_lookup(SimpleNamespace(method="GET"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=1&_chosen=2&_chosen_for=a", ["2"]),
        ("_chosen=2&_chosen_for=a", ["2"]),
        ("a=1&_chosen=2&_chosen_for=a&_several=1", ["1", "2"]),
        ("a=2&a=1&_chosen=2&_chosen_for=a&_several=1", ["1", "2"]),
        ("a=1&_chosen=2", ["1"]),
        ("a=1&_held=1&_chosen_for=a", ["1"]),
    ],
)
def test_a_choice_is_put_into_its_field(query: str, expected: list[str]) -> None:
    request = posting(query)
    take_choice(request)
    assert request.POST.getlist("a") == expected
    assert reason_of(request) == "Nothing has been saved yet."


def test_lost_files_are_told() -> None:
    request = posting("_held=1&_lost_files=1")
    take_choice(request, "_save")
    assert "Files have to be chosen again." in reason_of(request)
    assert request.POST["_save"] == "1"


def test_a_held_form_is_not_valid_and_has_no_errors_of_its_own() -> None:
    class Form(forms.Form):
        title = forms.CharField()

    class Held(Form):
        pass

    class Row(Form):
        pass

    class Rows(forms.BaseFormSet):  # type: ignore[type-arg]  # not generic at runtime
        pass

    plain = posting("title=")
    held = posting("title=&_held=1")
    take_choice(plain)
    take_choice(held)
    hold_form(Form, plain, main=True)
    assert Form(plain.POST).errors == {"title": ["This field is required."]}
    hold_form(Held, held, main=True)
    assert Held(held.POST).errors == {"__all__": ["Nothing has been saved yet."]}
    hold_form(Row, held)
    assert Row(held.POST).errors == {}
    management = {"form-TOTAL_FORMS": "0", "form-INITIAL_FORMS": "0"}
    made = forms.formset_factory(Form, formset=Rows)
    hold_formset(made, plain)
    assert made(management).is_valid()
    hold_formset(made, held)
    rows = made(management)
    assert rows.non_form_errors() == ["Nothing has been saved yet."]
