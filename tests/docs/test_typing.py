"""The examples of the page on types, which checkers read in tests/types as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import Example, blocks
from tests.records.models import Album, Artist
from vinyl.orm import run

pytestmark = pytest.mark.anyio

TYPES = Path(__file__).parents[1] / "types"


async def test_calls_in_both_modes(example: Example, db: Any) -> None:
    names = example("topics/typing.md", Artist=Artist)
    artist = await Artist.objects.create(name="Nina Simone")
    await Album.objects.create(title="Pastel Blues", artist=artist)
    assert await names["titles"](artist) == ["Pastel Blues"]
    assert await names["how_many"](artist) == 1
    assert await run(names["in_sync_code"]) == "Nina Simone"


def test_the_declarations_are_those_that_checkers_accept() -> None:
    checked = (TYPES / "shop" / "records" / "models.py").read_text()
    lines = [line for line in blocks("topics/typing.md", "py").splitlines() if line]
    assert lines
    assert not [line for line in lines if line not in checked]
