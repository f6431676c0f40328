"""`vinyl dumpdata`, whose file is complete or not there."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.signals import post_init

from tests.records.models import Artist


@pytest.fixture
def artists(db: Any) -> list[Artist]:
    return [Artist.objects.create(name=name) for name in ("Nina", "Abbey", "Größe")]


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Ctrl-C arrives after the first artist has been read."""
    seen = []

    def interrupt(**kwargs: Any) -> None:
        seen.append(kwargs)
        if len(seen) == 2:
            raise KeyboardInterrupt

    post_init.connect(interrupt, sender=Artist)
    yield
    post_init.disconnect(interrupt, sender=Artist)


def test_a_dump_is_compressed_as_its_name_says(
    artists: list[Artist], tmp_path: Path
) -> None:
    file = tmp_path / "artists.json.gz"
    call_command("dumpdata", "records.Artist", output=str(file))
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        assert len(json.load(stream)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["artists.json.gz"]


def test_an_interrupted_dump_leaves_the_last_one(
    artists: list[Artist], tmp_path: Path, interrupted: None
) -> None:
    file = tmp_path / "artists.json"
    file.write_text("[]")
    with pytest.raises(KeyboardInterrupt):
        call_command("dumpdata", "records.Artist", output=str(file))
    assert file.read_text() == "[]"
    assert [path.name for path in tmp_path.iterdir()] == ["artists.json"]


def test_a_dump_through_a_link_replaces_the_file(
    artists: list[Artist], tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "latest.json"
    link.symlink_to(tmp_path / "real" / "artists.json")
    call_command("dumpdata", "records.Artist", output=str(link))
    assert link.is_symlink()
    assert len(json.loads((tmp_path / "real" / "artists.json").read_text())) == 3


def test_a_dump_to_a_device_is_written_there(artists: list[Artist]) -> None:
    call_command("dumpdata", "records.Artist", output="/dev/null")
    assert Path("/dev/null").is_char_device()


def test_a_folder_that_is_not_there_is_refused(db: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written to: No such file"):
        call_command("dumpdata", "records.Artist", output=str(tmp_path / "a" / "b"))
