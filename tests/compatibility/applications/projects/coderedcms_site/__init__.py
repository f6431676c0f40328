"""Wagtail CRX, as its command `coderedcms start` makes a project."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

requires = ("coderedcms",)


def settings() -> dict[str, Any]:
    folder = Path(tempfile.gettempdir(), "vinyl-coderedcms")
    if not folder.exists():
        folder.mkdir()
        command = Path(sys.executable).with_name("coderedcms")
        subprocess.run([command, "start", "mysite", folder], check=True)
    sys.path.append(str(folder))
    from mysite.settings import base

    values = {key: value for key, value in vars(base).items() if key.isupper()}
    del values["ROOT_URLCONF"]
    return {
        **values,
        # Its pages would come out of the cache.
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
        },
    }
