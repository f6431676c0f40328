"""
The static files of the admin: vinyl's own in place of those for Django's pages, which
are neither served nor collected, apart from the libraries that packages build on. All
of them are where packages may have pages in Django's language.
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
from django.core.files.storage import FileSystemStorage

from vinyl.bridge.patching import Patch
from vinyl.web.admin.foreign import has_djangos_engine

__all__ = ["LIBRARIES", "TABLE", "files_of_django", "with_jquery"]


# What widgets of third parties name in their media: jQuery as `django.jQuery`, and
# select2. In the order that they need.
JQUERY = "admin/js/vendor/jquery/jquery.min.js"
JQUERY_INIT = "admin/js/jquery.init.js"
LIBRARIES = frozenset(
    {
        JQUERY,
        "admin/js/vendor/jquery/jquery.js",
        JQUERY_INIT,
        "admin/js/vendor/select2/select2.full.js",
        "admin/js/vendor/select2/select2.full.min.js",
        "admin/css/vendor/select2/select2.css",
        "admin/css/vendor/select2/select2.min.css",
    }
)
FOLDER = Path(admin.__file__).parent / "static"
OWN_FOLDER = Path(__file__).parent / "static"


class FilesOfDjango(FileSystemStorage):
    """
    The files of Django's admin that are in LIBRARIES; with an engine for Django's
    language, in which packages have pages, all that vinyl does not have.
    """

    def exists(self, name: str) -> bool:
        return (not name or _is_served(name)) and super().exists(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        folders, files = super().listdir(path)
        inside = f"{path}/".lstrip("/")
        return (
            [one for one in folders if _is_served(f"{inside}{one}/")],
            [one for one in files if _is_served(f"{inside}{one}")],
        )


def _is_served(name: str) -> bool:
    """Whether the file, or a file of the folder, *name* is served."""
    if has_djangos_engine():
        return name.endswith("/") or not (OWN_FOLDER / name).exists()
    return any(library.startswith(name) for library in LIBRARIES)


@cache
def files_of_django() -> frozenset[str]:
    """
    Return the names of the files of Django's admin, such as "admin/js/core.js", without
    LIBRARIES. Never switches.
    """
    files = (path for path in FOLDER.rglob("*") if path.is_file())
    return frozenset(file.relative_to(FOLDER).as_posix() for file in files) - LIBRARIES


def with_jquery(paths: list[Any]) -> list[Any]:
    """
    Return *paths* of scripts with jQuery before `jquery.init.js`, which Django's pages
    always have. Never switches.
    """
    if JQUERY_INIT not in paths or any("/vendor/jquery/" in str(p) for p in paths):
        return paths
    index = paths.index(JQUERY_INIT)
    return [*paths[:index], JQUERY, *paths[index:]]


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
                libraries = f"{config.name}: libraries"
                self.apps.append(libraries)
                self.storages[libraries] = FilesOfDjango(str(FOLDER))

    return __init__


TABLE = (
    Patch(
        "django.contrib.staticfiles.finders:AppDirectoriesFinder",
        "__init__",
        patch_init,
        app="staticfiles",
    ),
)
