"""The examples of the pages on the ORM work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import pytest

from tests.docs.pages import Example
from tests.records.models import Album, Artist

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_awaiting_together(example: Example, queries: list[str]) -> None:
    for name in ("Nina", "Odetta"):
        artist = await Artist.objects.create(name=name)
        await Album.objects.create(title=f"{name}'s", artist=artist)
    names = example("topics/awaiting-together.md")
    for captions in (names["captions"], names["captions_in_tasks"]):
        queries.clear()
        assert await captions() == ["Nina's by Nina", "Odetta's by Odetta"]
        assert len(queries) == 2
