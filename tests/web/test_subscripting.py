"""Generic classes of Django can be given their parameters at run time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Album
from vinyl.web import forms, views
from vinyl.web.pagination import Paginator


@pytest.mark.parametrize(
    "cls",
    [
        forms.ModelForm,
        forms.BaseModelFormSet,
        forms.BaseInlineFormSet,
        forms.ModelChoiceField,
        views.ListView,
        views.DetailView,
        views.CreateView,
        views.UpdateView,
        views.DeleteView,
        views.FormView,
        views.WeekArchiveView,
        Paginator,
    ],
)
def test_subscripting_returns_the_class(cls: Any) -> None:
    assert cls[Album] is cls
    assert cls[Album, Any] is cls


def test_a_class_may_derive_from_it() -> None:
    class AlbumForm(forms.ModelForm[Album]):
        class Meta:
            model = Album
            fields = ["title"]

    class Albums(views.ListView[Album]):
        model = Album

    assert list(AlbumForm.base_fields) == ["title"]
    assert Albums.__mro__[1] is views.ListView
