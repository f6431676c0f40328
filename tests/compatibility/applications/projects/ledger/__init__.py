"""django-ledger, with the settings of its documentation."""

from __future__ import annotations

from typing import Any

from tests.compatibility.applications.common import APPS, MIDDLEWARE, templates

requires = ("django-ledger", "faker")


def settings() -> dict[str, Any]:
    return {
        "INSTALLED_APPS": [*APPS, "django_ledger"],
        "LOGIN_URL": "/auth/login/",
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": templates("django_ledger.context.django_ledger_context"),
    }
