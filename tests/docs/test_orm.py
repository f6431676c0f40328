"""The examples of the pages on the ORM work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import pytest

from tests.docs.pages import Example
from tests.fix_db import only_postgresql
from tests.orm.plans.pipelining import network, trips
from tests.proxy import Proxy
from tests.records.models import Album, Artist

__all__ = ["network"]

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


@only_postgresql
async def test_awaiting_together_in_a_transaction(
    example: Example, network: Proxy
) -> None:
    names = example("topics/awaiting-together.md")
    artist = await Artist.objects.create(name="Nina")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    for _ in range(3):
        assert await names["overview"](album.pk) == (album, 1, False)
    with trips(network) as found:
        assert await names["overview"](album.pk) == (album, 1, False)
    # The other one is the COMMIT.
    assert found == [2]
