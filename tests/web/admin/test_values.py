"""Values of form fields as short texts."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django import forms

from vinyl.web.admin.values import shown

CHOICES = [("a", "Long player"), (1, "Single")]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (forms.CharField(), "text", "text"),
        (forms.CharField(), "", "-"),
        (forms.CharField(), None, "-"),
        (forms.CharField(), "x" * 30, "x" * 19 + "…"),
        (forms.CharField(widget=forms.PasswordInput), "xyz", "•" * 8),
        (forms.CharField(widget=forms.PasswordInput), "", "-"),
        (forms.IntegerField(), 0, "0"),
        (forms.BooleanField(), True, "Yes"),
        (forms.BooleanField(), False, "No"),
        (forms.ChoiceField(choices=CHOICES), "a", "Long player"),
        (forms.ChoiceField(choices=CHOICES), 1, "Single"),
        (forms.ChoiceField(choices=CHOICES), "other", "other"),
        (forms.DateField(), datetime.date(1965, 10, 1), "Oct. 1, 1965"),
        (forms.JSONField(), {"a": 1}, "{'a': 1}"),
    ],
)
def test_values_are_short_texts(field: Any, value: Any, expected: str) -> None:
    assert shown(field, value, 20) == expected
