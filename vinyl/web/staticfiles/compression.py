"""
Compressed variants of static files, which `vinyl collectstatic` makes:

    STORAGES = {
        ...
        "staticfiles": {
            "BACKEND": "vinyl.web.staticfiles.CompressedManifestStaticFilesStorage",
        },
    }

Each compressible file gets a `.gz` beside it, a `.br` if the package brotli is
installed, and a `.zst` if Python has `compression.zstd` (3.14).
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

# HTTP's names of the encodings with the suffixes of the files, the best first.
ENCODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

# The largest size of a variant, as a share of the original; a larger one is dropped.
MAX_RATIO = 0.95

# Types that are compressed already, like all audio and video and most images.
_COMPRESSED = {"application/gzip", "application/zip", "font/woff", "font/woff2"}
_RAW_IMAGES = {"image/svg+xml", "image/bmp", "image/vnd.microsoft.icon"}


def compressors() -> dict[str, Callable[[bytes], bytes]]:
    """Return the compressors of this installation, by suffix. Never switches."""
    made: dict[str, Callable[[bytes], bytes]] = {
        # Without a time stamp, the same content gives the same file.
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
    """Return whether the file called *name* is likely to become smaller."""
    kind, encoding = guess_type(name)
    if encoding is not None or name.endswith(tuple(ENCODINGS.values())):
        return False
    kind = kind or ""
    if kind.startswith(("audio/", "video/")) or kind in _COMPRESSED:
        return False
    return not kind.startswith("image/") or kind in _RAW_IMAGES


class CompressedFilesMixin:
    """A mixin for storages on a disk that compresses the post-processed files."""

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str, bool | Exception]]:
        """
        Yield what Django's `collectstatic` expects: the name, the name of the new file,
        and whether it was made.
        """
        names = set(paths)
        # Django's StaticFilesStorage does not have it.
        inherited = getattr(super(), "post_process", None)
        if inherited is not None:
            for name, hashed, processed in inherited(paths, dry_run=dry_run, **options):
                names.add(hashed)
                yield name, hashed, processed
        if dry_run:
            return
        made = compressors()
        storage: Any = self
        # The name is empty for errors.
        for name in sorted(filter(None, names)):
            path = Path(storage.path(name))
            if is_compressible(name) and path.is_file():
                for suffix in compress(path, made):
                    yield name, name + suffix, True


def compress(path: Path, made: dict[str, Callable[[bytes], bytes]]) -> Iterator[str]:
    """Update the variants of the file at *path*; yield the suffixes of new ones."""
    modified = path.stat().st_mtime_ns
    data = None
    for suffix, compressed_by in made.items():
        variant = path.with_name(path.name + suffix)
        if variant.is_file() and variant.stat().st_mtime_ns == modified:
            continue
        if data is None:
            data = path.read_bytes()
        compressed = compressed_by(data)
        if len(compressed) > MAX_RATIO * len(data):
            variant.unlink(missing_ok=True)
            continue
        variant.write_bytes(compressed)
        # The time tells a variant of this content from one of an older content.
        os.utime(variant, ns=(modified, modified))
        yield suffix


class CompressedStaticFilesStorage(CompressedFilesMixin, StaticFilesStorage):
    """Django's `StaticFilesStorage`, with compressed variants."""


class CompressedManifestStaticFilesStorage(  # type: ignore[misc]
    CompressedFilesMixin, ManifestStaticFilesStorage
):
    """Django's `ManifestStaticFilesStorage`, with compressed variants."""
