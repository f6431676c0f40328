"""
Django's static files for its own admin. Vinyl's pages use a few of them; the others are
neither served nor collected.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib import admin

from vinyl.bridge.patching import Row

__all__ = ["TABLE", "left_out"]

ADMIN = "django.contrib.admin"
ROOT = Path(admin.__file__).parent / "static"

# The signs for true, false and unknown in lists and for read-only fields.
USED = frozenset(f"admin/img/icon-{answer}.svg" for answer in ("yes", "no", "unknown"))


@cache
def left_out() -> frozenset[str]:
    """The names of the files that no page of vinyl's admin uses, "admin/js/core.js"."""
    files = (path for path in ROOT.rglob("*") if path.is_file())
    return frozenset(file.relative_to(ROOT).as_posix() for file in files) - USED


def serves_vinyls_pages() -> bool:
    from vinyl.web.admin.apps import AdminConfig

    return isinstance(apps.app_configs.get("admin"), AdminConfig)


def patch_list(list_files: Callable) -> Callable:
    """`AppDirectoriesFinder.list()`, which collectstatic asks, without those files."""

    @functools.wraps(list_files)
    def list_used(self: Any, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        djangos = self.storages.get(ADMIN) if serves_vinyls_pages() else None
        for path, storage in list_files(self, *args, **kwargs):
            if storage is not djangos or path.replace(os.sep, "/") not in left_out():
                yield path, storage

    return list_used


def patch_find(find_in_app: Callable) -> Callable:
    """`AppDirectoriesFinder.find_in_app()`, without those files and their folders."""

    @functools.wraps(find_in_app)
    def find_used(self: Any, app: str, path: str) -> Any:
        found = find_in_app(self, app, path)
        if found and app == ADMIN and serves_vinyls_pages():
            if Path(found).relative_to(ROOT).as_posix() not in USED:
                return None
        return found

    return find_used


_FINDER = "django.contrib.staticfiles.finders:AppDirectoriesFinder"

TABLE = (
    Row(_FINDER, "list", patch_list, app="staticfiles"),
    Row(_FINDER, "find_in_app", patch_find, app="staticfiles"),
)
