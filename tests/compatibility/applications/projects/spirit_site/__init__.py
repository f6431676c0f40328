"""Spirit, a forum, with the settings that its project template has."""

from __future__ import annotations

from typing import Any

requires = ("django-spirit",)


def settings() -> dict[str, Any]:
    from spirit.extra.project_template.project_name.settings import base

    values = {key: value for key, value in vars(base).items() if key.isupper()}
    del values["ROOT_URLCONF"]
    del values["LOGGING"]
    return {
        **values,
        "HAYSTACK_CONNECTIONS": {
            "default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}
        },
        "HAYSTACK_SIGNAL_PROCESSOR": "haystack.signals.BaseSignalProcessor",
        # The answers would depend on the time.
        "ST_RATELIMIT_ENABLE": False,
        "ST_SITE_URL": "http://127.0.0.1/",
        "ST_TASK_MANAGER": None,
    }
