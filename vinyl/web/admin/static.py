"""
The static files of the admin: vinyl's own in place of those for Django's pages, which
are neither served nor collected.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib import admin

from vinyl.bridge.patching import Patch

__all__ = ["TABLE", "files_of_django"]


@cache
def files_of_django() -> frozenset[str]:
    """
    Return the names of the files of Django's admin, such as "admin/js/core.js". Never
    switches.
    """
    root = Path(admin.__file__).parent / "static"
    files = (path for path in root.rglob("*") if path.is_file())
    return frozenset(file.relative_to(root).as_posix() for file in files)


def patch_init(init: Callable[..., Any]) -> Callable[..., Any]:
    """`AppDirectoriesFinder.__init__()`, which uses the `files_path` of app configs."""

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        for config in apps.get_app_configs():
            path = getattr(config, "files_path", None)
            if path is not None and config.name in self.storages:
                folder = os.path.join(path, self.source_dir)
                self.storages[config.name] = self.storage_class(folder)

    return __init__


TABLE = (
    Patch(
        "django.contrib.staticfiles.finders:AppDirectoriesFinder",
        "__init__",
        patch_init,
        app="staticfiles",
    ),
)
