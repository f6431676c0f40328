"""Streams of both kinds: begun, closed, and cancelled when the client leaves."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc, unreachable"

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django import http

from tests.records.models import Label
from tests.web.serving import serving
from vinyl.orm import await_
from vinyl.web import StreamingResponse, path

pytestmark = pytest.mark.anyio


async def test_an_error_before_the_first_piece_has_its_page() -> None:
    def pieces() -> Iterator[str]:
        raise http.Http404
        yield ""

    async def view(request: Any) -> Any:
        return StreamingResponse(pieces())

    def djangos(request: Any) -> Any:
        return http.StreamingHttpResponse(pieces())

    async with serving(path("", view), path("djangos/", djangos)) as page:
        assert (await page.get("/")).status_code == 404
        assert (await page.get("/djangos/")).status_code == 404


async def test_an_empty_iterator_is_an_empty_body() -> None:
    async def view(request: Any) -> Any:
        return StreamingResponse([], headers={"x-a": "1"})

    async with serving(path("", view)) as page:
        response = await page.get("/")
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["x-a"] == "1"


async def test_a_plain_iterator_streams_inside_the_bridge(db: Any) -> None:
    for name in ["Philips", "Verve"]:
        await Label.objects.create(name=name)

    ended = []

    def names() -> Iterator[str]:
        try:
            for label in Label.objects.order_by("name").iterator(chunk_size=1):
                yield f"{label.name} "
        finally:
            ended.append(Label.objects.count())

    async def view(request: Any) -> Any:
        return StreamingResponse(names(), media_type="text/plain")

    async with serving(path("", view)) as page:
        assert (await page.get("/")).text == "Philips Verve "
        both = await asyncio.gather(page.get("/"), page.get("/"))
        assert [r.text for r in both] == ["Philips Verve "] * 2
    assert ended == [2, 2, 2]


async def test_an_iterator_that_can_be_closed_is_closed_at_its_end(db: Any) -> None:
    closed = []

    class Rows:
        def __init__(self) -> None:
            self.rows = iter(["a", "b"])

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> str:
            return next(self.rows)

        def close(self) -> None:
            closed.append(Label.objects.count())

    async def view(request: Any) -> Any:
        return StreamingResponse(Rows())

    async with serving(path("", view)) as page:
        assert (await page.get("/")).text == "ab"
    assert closed == [0]


async def test_a_client_that_leaves_ends_what_is_sent(db: Any) -> None:
    """Where it may use the database, wherever it was."""
    closed: list[tuple[str, int]] = []

    def generator() -> Iterator[str]:
        try:
            yield from itertools.repeat("more")
        finally:
            closed.append(("generator", Label.objects.count()))

    class Rows:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> str:
            return "more"

        def close(self) -> None:
            closed.append(("object", Label.objects.count()))

    def waiting() -> Iterator[str]:
        try:
            yield "more"
            await_(asyncio.Event().wait())
        finally:
            closed.append(("waiting", Label.objects.count()))

    async def native() -> AsyncIterator[str]:
        try:
            while True:
                yield "more"
        finally:
            closed.append(("native", await Label.objects.count()))

    contents: dict[str, Any] = {
        "generator": generator,
        "object": Rows,
        "waiting": waiting,
        "native": native,
    }

    async def view(request: Any, kind: str) -> Any:
        return StreamingResponse(contents[kind]())

    async with serving(path("<kind>/", view)) as page:
        for kind in contents:
            async with page.stream("GET", f"/{kind}/") as response:
                assert (await anext(response.aiter_text())).startswith("more")
            assert closed.pop() == (kind, 0)
    assert not closed
