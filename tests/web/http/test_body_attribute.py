"""`request.body`: Starlette's method and Django's attribute."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.http.slow_clients import JSON, RAW
from tests.web.serving import serving
from vinyl.exceptions import NotAwaitedError
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    path,
)

pytestmark = pytest.mark.anyio


async def test_the_body_is_djangos_property_where_it_has_arrived() -> None:
    async def view(request: Any) -> Any:
        content = await request.body()
        assert content == request.body
        return JSONResponse(json.loads(request.body))

    async with serving(path("", view)) as http:
        for kind in (JSON, RAW):
            response = await http.post(
                "/", content=b"[1]", headers={"content-type": kind}
            )
            assert response.json() == [1]


async def test_a_body_that_has_not_arrived_is_no_value() -> None:
    async def view(request: Any) -> Any:
        with pytest.raises(NotAwaitedError, match=r"`await request\.body\(\)`"):
            request.body.decode()
        with pytest.raises(NotAwaitedError, match="testing its truth value"):
            bool(request.body)
        with pytest.raises(NotAwaitedError, match="'Request.body' .* was dropped"):
            request.body()
        with pytest.raises(TypeError, match="not UnreadBody"):
            json.loads(request.body)
        assert "await request.body()" in repr(request.body)
        return PlainTextResponse(await request.body())

    async with serving(path("", view)) as http:
        response = await http.post("/", content=b"x", headers={"content-type": RAW})
    assert response.text == "x"
