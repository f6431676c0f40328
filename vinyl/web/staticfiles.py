"""Static files during development, from where Django's finders find them."""

from __future__ import annotations

import os

import starlette.staticfiles
from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation

__all__ = ["StaticFiles"]


class StaticFiles(starlette.staticfiles.StaticFiles):
    """Starlette's app for static files, over all of Django's finders."""

    def __init__(self) -> None:
        super().__init__(check_dir=False)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        try:
            found = finders.find(path)
        except SuspiciousFileOperation:
            # Outside the folders of static files: as good as not there.
            found = None
        return (str(found), os.stat(found)) if found else ("", None)
