"""Static files are compressed when they are collected."""

from __future__ import annotations

import gzip
import importlib.util
import os
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import override_settings

from tests.web.serving import serving
from tests.web.staticfiles.collecting import CSS, PATTERNS, storages
from vinyl.web.staticfiles.compression import compressors

pytestmark = pytest.mark.anyio


def test_what_is_compressed(collected: Path) -> None:
    names = {p.relative_to(collected).as_posix() for p in collected.rglob("*.*")}
    url = staticfiles_storage.url("site.css").removeprefix("/static/")
    assert {"site.css.gz", f"{url}.gz"} <= names
    assert not {"img/a.png.gz", "tiny.txt.gz", "data.csv.gz.gz"} & names
    for suffix in compressors():
        assert f"site.css{suffix}" in names


def test_collecting_again(collected: Path) -> None:
    packed = collected / "site.css.gz"
    before = packed.stat().st_mtime_ns
    call_command("collectstatic", interactive=False, verbosity=0)
    assert packed.stat().st_mtime_ns == before
    source = collected.parent / "source" / "site.css"
    source.write_text(CSS.replace("teal", "plum"))
    os.utime(source, (2**31, 2**31))
    call_command("collectstatic", interactive=False, verbosity=0)
    assert b"plum" in gzip.decompress(packed.read_bytes())
    source.write_text("ab")
    os.utime(source, (2**31 + 9, 2**31 + 9))
    call_command("collectstatic", interactive=False, verbosity=0)
    assert not packed.exists()


def test_a_dry_run_makes_nothing(collected: Path) -> None:
    packed = collected / "site.css.gz"
    packed.unlink()
    manifest = (collected / "staticfiles.json").read_bytes()
    call_command("collectstatic", interactive=False, verbosity=0, dry_run=True)
    assert not packed.exists()
    # Without its names, no page would find its files.
    assert (collected / "staticfiles.json").read_bytes() == manifest


async def test_compression_without_hashed_names(collected: Path) -> None:
    plain = "vinyl.web.staticfiles.CompressedStaticFilesStorage"
    with override_settings(STORAGES=storages(plain)):
        (collected / "site.css.gz").unlink()
        call_command("collectstatic", interactive=False, verbosity=0)
        async with serving(*PATTERNS) as http:
            found = await http.get(
                "/static/site.css", headers={"Accept-Encoding": "gzip"}
            )
    assert found.headers["content-encoding"] == "gzip"
    assert found.headers["cache-control"] == "public, max-age=60"


@pytest.mark.skipif(
    importlib.util.find_spec("brotli") is None, reason="brotli is not installed"
)
async def test_brotli_is_preferred(collected: Path) -> None:
    async with serving(*PATTERNS) as http:
        found = await http.get(
            "/static/site.css", headers={"Accept-Encoding": "gzip, br"}
        )
    assert found.headers["content-encoding"] == "br"
