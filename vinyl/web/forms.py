"""Django's forms given what `await request.form()` returns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from starlette.datastructures import FormData

from vinyl.bridge.patching import Patch
from vinyl.web.http.parsers import submitted

__all__ = ["TABLE"]


def taking_form_data(init: Callable[..., Any]) -> Callable[..., Any]:
    """The change for `__init__`: *data* may be what `await request.form()` gives."""

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
    Patch("django.forms.forms:BaseForm", "__init__", taking_form_data),
    Patch("django.forms.formsets:BaseFormSet", "__init__", taking_form_data),
)
