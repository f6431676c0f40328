"""A folder of static files that have been collected."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

from tests.web.staticfiles.collecting import CSS, MIDDLEWARE, STORAGE, storages


@pytest.fixture
def collected(tmp_path: Path) -> Iterator[Path]:
    """The STATIC_ROOT of a project that has been collected."""
    source, root = tmp_path / "source", tmp_path / "root"
    (source / "img").mkdir(parents=True)
    (source / "site.css").write_text(CSS + "a { background: url(img/a.png) }")
    (source / "img" / "a.png").write_bytes(b"\x89PNG" + bytes(2000))
    (source / "tiny.txt").write_text("ab")
    (source / "data.csv.gz").write_bytes(gzip.compress(b"1,2,3"))
    (tmp_path / "secret.txt").write_text("not for visitors")
    settings = {
        "STATIC_ROOT": str(root),
        "STATICFILES_DIRS": [source],
        "STORAGES": storages(STORAGE),
        "MIDDLEWARE": MIDDLEWARE,
    }
    with override_settings(**settings):
        call_command("collectstatic", interactive=False, verbosity=0)
        yield root
