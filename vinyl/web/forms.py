"""
Django's `django.forms`, which takes what `await request.form()` returns as data.

forms.pyi has the types, which know what is dual-mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import django.forms
from django.forms import *  # noqa: F403
from starlette.datastructures import FormData

from vinyl.bridge.patching import Patch
from vinyl.web.http.parsers import submitted
from vinyl.web.subscripting import make_subscriptable

make_subscriptable(
    django.forms.BaseFormSet,
    django.forms.BaseModelForm,
    django.forms.BaseModelFormSet,
    django.forms.ModelChoiceField,
)


def patch_init(init: Callable[..., Any]) -> Callable[..., Any]:
    """`__init__()`, which takes what `await request.form()` returns as *data*."""

    @functools.wraps(init)
    def __init__(
        self: Any, data: Any = None, files: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        if isinstance(data, FormData):
            data, files_of_data = submitted(data)
            files = files_of_data if files is None else files
        init(self, data, files, *args, **kwargs)

    return __init__


TABLE = (
    Patch("django.forms.forms:BaseForm", "__init__", patch_init),
    Patch("django.forms.formsets:BaseFormSet", "__init__", patch_init),
)
