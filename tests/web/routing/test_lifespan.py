"""The project's own code at start-up and shutdown."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc, unreachable"

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.records.models import Artist
from tests.web.serving import serving
from vinyl.orm.pools.registry import pool_for
from vinyl.web import PlainTextResponse, path
from vinyl.web.application import get_asgi_application

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

events: list[Any] = []


@asynccontextmanager
async def first(app: Any) -> AsyncIterator[dict[str, Any]]:
    events.append(await Artist.objects.count())
    yield {"word": "from the start"}
    # The pools close after this.
    events.append(await Artist.objects.count())
    assert not pool_for("default").closed


@asynccontextmanager
async def second(app: Any) -> AsyncIterator[None]:
    events.append("second up")
    try:
        yield
    finally:
        events.append("second down")


@asynccontextmanager
async def failing(app: Any) -> AsyncIterator[None]:
    raise ZeroDivisionError("no start")
    yield


no_function = 3


async def word(request: Any) -> Any:
    await Artist.objects.create(name="Nina Simone")
    return PlainTextResponse(request.state.word)


async def test_runs_inside_the_pools_and_gives_state() -> None:
    events.clear()
    setting = {"LIFESPAN": f"{__name__}.first"}
    async with serving(path("", word), VINYL=setting) as http:
        assert (await http.get("/")).text == "from the start"
        pool = pool_for("default")
    assert events == [0, 1]
    assert pool.closed


async def test_several_end_in_the_other_order() -> None:
    events.clear()
    setting = {"LIFESPAN": [f"{__name__}.first", f"{__name__}.second"]}
    async with serving(path("", word), VINYL=setting) as http:
        assert (await http.get("/")).text == "from the start"
    assert events == [0, "second up", "second down", 1]


async def test_one_that_fails_ends_those_before() -> None:
    events.clear()
    setting = {"LIFESPAN": [f"{__name__}.second", f"{__name__}.failing"]}
    with pytest.raises(ZeroDivisionError, match="no start"):
        async with serving(path("", word), VINYL=setting):
            pass
    assert events == ["second up", "second down"]


@pytest.mark.parametrize("name", ["missing", "no_function"])
async def test_what_cannot_be_one(name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"LIFESPAN'\] names .*{name}"):
        async with serving(VINYL={"LIFESPAN": f"{__name__}.{name}"}):
            get_asgi_application()
