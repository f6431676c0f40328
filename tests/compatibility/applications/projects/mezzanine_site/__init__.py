"""Mezzanine, with the settings that its project template has."""

from __future__ import annotations

from typing import Any

requires = ("mezzanine",)


def settings() -> dict[str, Any]:
    from mezzanine.project_template.project_name import settings as theirs

    values = {key: value for key, value in vars(theirs).items() if key.isupper()}
    del values["ROOT_URLCONF"]
    return {
        **values,
        # Its pages would come out of the cache.
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
        },
        # Which filebrowser-safe reads.
        "DEFAULT_FILE_STORAGE": "django.core.files.storage.FileSystemStorage",
    }
