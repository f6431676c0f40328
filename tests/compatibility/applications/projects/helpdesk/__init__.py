"""django-helpdesk, with the settings of its documentation."""

from __future__ import annotations

from typing import Any

from tests.compatibility.applications.common import APPS, MIDDLEWARE, templates

requires = ("django-helpdesk",)


def settings() -> dict[str, Any]:
    return {
        "HELPDESK_ACTIVATE_API_ENDPOINT": True,
        "HELPDESK_SUBMIT_A_TICKET_PUBLIC": True,
        "HELPDESK_TEAMS_MODE_ENABLED": False,
        "INSTALLED_APPS": [*APPS, "helpdesk", "rest_framework"],
        "LOGIN_URL": "/login/",
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": templates(),
    }
