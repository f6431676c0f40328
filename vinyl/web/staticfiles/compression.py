"""
Compressed variants of static files, made once by `vinyl collectstatic`:

    STORAGES = {
        ...
        "staticfiles": {
            "BACKEND": "vinyl.web.staticfiles.CompressedManifestStaticFilesStorage",
        },
    }

Each text gets a `.gz` beside it, a `.br` if the package brotli is installed, and a
`.zst` if Python has `compression.zstd` (3.14).
"""

from __future__ import annotations

import gzip
import importlib
import os
from collections.abc import Callable, Iterator
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.storage import (
    ManifestStaticFilesStorage,
    StaticFilesStorage,
)

__all__ = [
    "ENCODINGS",
    "CompressedManifestStaticFilesStorage",
    "CompressedStaticFilesStorage",
]

# HTTP's names with the suffixes of the files, the one to prefer first.
ENCODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

# A variant that saves less is not worth a file.
WORTHWHILE = 0.95

# These are compressed already, and all but a few of images, audio and video.
_COMPRESSED = {"application/gzip", "application/zip", "font/woff", "font/woff2"}
_RAW_IMAGES = {"image/svg+xml", "image/bmp", "image/vnd.microsoft.icon"}


def compressors() -> dict[str, Callable[[bytes], bytes]]:
    """What this installation can make, by suffix. Never switches."""
    made: dict[str, Callable[[bytes], bytes]] = {
        # Without the time in it, the same text gives the same file.
        ".gz": lambda data: gzip.compress(data, 9, mtime=0)
    }
    try:
        made[".br"] = importlib.import_module("brotli").compress
    except ImportError:
        pass
    try:
        zstd = importlib.import_module("compression.zstd")
    except ImportError:
        pass
    else:
        made[".zst"] = lambda data: zstd.compress(data, 19)
    return made


def is_compressible(name: str) -> bool:
    """Whether the file called *name* is likely to become smaller."""
    kind, encoding = guess_type(name)
    if encoding is not None or name.endswith(tuple(ENCODINGS.values())):
        return False
    kind = kind or ""
    if kind.startswith(("audio/", "video/")) or kind in _COMPRESSED:
        return False
    return not kind.startswith("image/") or kind in _RAW_IMAGES


class CompressedFilesMixin:
    """For storages on a disk: compresses what has been post-processed."""

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str, bool | Exception]]:
        """
        What Django's `collectstatic` asks for: the name, the name of what was made, and
        whether it was made.
        """
        names = set(paths)
        # Not each storage has it: the plain one has nothing to do.
        inherited = getattr(super(), "post_process", None)
        if inherited is not None:
            for name, hashed, processed in inherited(paths, dry_run, **options):
                names.add(hashed)
                yield name, hashed, processed
        if dry_run:
            return
        made = compressors()
        storage: Any = self
        # An error has no name.
        for name in sorted(filter(None, names)):
            path = Path(storage.path(name))
            if is_compressible(name) and path.is_file():
                for suffix in compress(path, made):
                    yield name, name + suffix, True


def compress(path: Path, made: dict[str, Callable[[bytes], bytes]]) -> Iterator[str]:
    """Bring the variants of the file at *path* up to date; gives what is new."""
    modified = path.stat().st_mtime_ns
    data = None
    for suffix, compressed_by in made.items():
        variant = path.with_name(path.name + suffix)
        if variant.is_file() and variant.stat().st_mtime_ns == modified:
            continue
        if data is None:
            data = path.read_bytes()
        compressed = compressed_by(data)
        if len(compressed) > WORTHWHILE * len(data):
            variant.unlink(missing_ok=True)
            continue
        variant.write_bytes(compressed)
        # Tells that it belongs to this text, and not to one before.
        os.utime(variant, ns=(modified, modified))
        yield suffix


class CompressedStaticFilesStorage(CompressedFilesMixin, StaticFilesStorage):
    """Django's `StaticFilesStorage`, with compressed variants."""


class CompressedManifestStaticFilesStorage(  # type: ignore[misc]
    CompressedFilesMixin, ManifestStaticFilesStorage
):
    """Django's `ManifestStaticFilesStorage`, with compressed variants."""
