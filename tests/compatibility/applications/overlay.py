"""The settings of an application, with what a project changes to use vinyl."""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from typing import Any

from tests.compatibility.applications.common import SETTINGS
from vinyl.databases import database_from_url


def changed(values: dict[str, Any], mode: str, url: str) -> dict[str, Any]:
    """
    The settings *values* for a mode and a database.

    Args:
        mode: `stock`, or one of `wsgi`, `handler` and `bridged`, which use vinyl.
        url: That of the database.
    """
    database = database_from_url(url, tempfile.gettempdir())
    options: dict[str, Any] = {"DATABASES": {"default": database}}
    if mode == "stock":
        database["ENGINE"] = database["ENGINE"].replace("vinyl.orm", "django.db")
    else:
        options["INSTALLED_APPS"] = ["vinyl.orm", *values["INSTALLED_APPS"]]
    if mode == "bridged":
        options["VINYL"] = {"DJANGO_HANDLER": "bridge"}
    return {
        **values,
        **options,
        "ALLOWED_HOSTS": ["*"],
        "DEBUG": False,
        "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "SECRET_KEY": "a key for the compatibility run, of more than 50 characters",
    }


project = import_module(os.environ["APPLICATION"])
globals().update(
    changed(
        {"ROOT_URLCONF": f"{project.__name__}.site", **SETTINGS, **project.settings()},
        os.environ["APPLICATION_MODE"],
        os.environ["APPLICATION_DATABASE"],
    )
)
