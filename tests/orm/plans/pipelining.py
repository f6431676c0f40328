"""What tests of pipelines have in common."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, var-annotated"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from tests.fix_db import default_at
from tests.proxy import Proxy, proxy
from tests.records.models import Artist, Label
from vinyl.orm.backends.pipelines import Pipeline
from vinyl.orm.pools.registry import close_pools, pool_for

__all__ = ["artist", "fill", "label", "network", "sizes", "sound", "taken", "trips"]


@pytest.fixture
async def network(postgres_url: str) -> AsyncIterator[Proxy]:
    """A network between this process and the server."""
    async with proxy(postgres_url) as network:
        with default_at(HOST="127.0.0.1", PORT=str(network.port)):
            await close_pools()
            yield network
            network.thaw()
            await close_pools()


@contextmanager
def trips(network: Proxy) -> Iterator[list[int]]:
    """The number of round trips in the block, in a list, after its end."""
    found: list[int] = []
    before = len(network.requests)
    yield found
    found.append(len(network.requests) - before)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of reads in each pipeline."""
    found: list[int] = []
    init = Pipeline.__init__

    def noted(self: Any, wrapper: Any, lock: Any, reads: Any, **more: Any) -> None:
        found.append(len(reads))
        init(self, wrapper, lock, reads, **more)

    monkeypatch.setattr(Pipeline, "__init__", noted)
    return found


async def fill() -> None:
    """Ten artists and labels, "0" to "9", and known plans to get them."""
    await Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(10))
    await Label.objects.bulk_create(Label(name=f"{n}") for n in range(10))
    for n in range(3):
        assert await artist(n) == f"{n}"
        assert await label(n) == f"{n}"
        assert await Artist.objects.filter(name=f"{n}").count() == 1


async def artist(n: int) -> str:
    name: str = (await Artist.objects.get(name=f"{n}")).name
    return name


async def label(n: int) -> str:
    name: str = (await Label.objects.get(name=f"{n}")).name
    return name


async def taken() -> None:
    """Wait until a pipeline has been sent, of which no reply has been read."""
    while connections["default"].connection.pgconn.pipeline_status == 0:
        await asyncio.sleep(0)


async def sound() -> None:
    """Check that the connections at rest can be used, and that no other is left."""
    pool = pool_for("default")
    assert pool.in_use == {}
    assert all(p.wrapper.is_reusable() and p.wrapper.is_alive() for p in pool.idle)
    assert await artist(3) == "3"
