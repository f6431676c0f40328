"""The examples of the pages on the ORM work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.core.management.base import OutputWrapper

from tests.docs.pages import Example
from tests.fix_db import only_postgresql
from tests.orm.management.test_progress import Terminal
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


def test_the_progress_of_a_command(example: Example) -> None:
    artist = Artist.objects.create(name="Nina")
    rows = [{"title": title, "artist": artist} for title in "ab"]
    handle = example("reference/commands.md", rows=rows)["handle"]
    terminal = Terminal()
    handle(SimpleNamespace(stdout=OutputWrapper(terminal)), verbosity=1)
    assert f"Importing: [{'#' * 15:<30}] 50%, 1 of 2" in terminal.getvalue()
    assert Album.objects.count() == 2


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
