"""django-oscar, with the settings of its documentation."""

from __future__ import annotations

from typing import Any

from tests.compatibility.applications.common import APPS, MIDDLEWARE, templates

requires = ("django-oscar", "django-haystack>=3.3", "whoosh")


def settings() -> dict[str, Any]:
    from oscar import INSTALLED_APPS, defaults

    theirs = {key: value for key, value in vars(defaults).items() if key.isupper()}
    apps = [app for app in INSTALLED_APPS if app not in APPS]
    return {
        **theirs,
        "AUTHENTICATION_BACKENDS": [
            "oscar.apps.customer.auth_backends.EmailBackend",
            "django.contrib.auth.backends.ModelBackend",
        ],
        "HAYSTACK_CONNECTIONS": {
            "default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}
        },
        "INSTALLED_APPS": [*APPS, *apps],
        "MIDDLEWARE": [
            *MIDDLEWARE,
            "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
            "oscar.apps.basket.middleware.BasketMiddleware",
        ],
        "TEMPLATES": templates(
            "oscar.apps.search.context_processors.search_form",
            "oscar.apps.checkout.context_processors.checkout",
            "oscar.apps.communication.notifications.context_processors.notifications",
            "oscar.core.context_processors.metadata",
        ),
        "OSCAR_INITIAL_ORDER_STATUS": "Pending",
        "OSCAR_ORDER_STATUS_PIPELINE": {"Pending": ("Being processed",)},
    }
