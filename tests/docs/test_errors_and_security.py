"""The examples of docs/topics/errors.md and security.md work as they stand."""

from __future__ import annotations

import sys

import pytest

from tests.docs.pages import Example
from tests.web.serving import serving

pytestmark = pytest.mark.anyio


async def test_errors(example: Example, caplog: pytest.LogCaptureFixture) -> None:
    example("topics/errors.md")
    async with serving(ROOT_URLCONF=sys.modules["records.example"]) as http:
        response = await http.get("/none/")
        assert (response.status_code, response.json()) == (
            404,
            {"nothing at": "/none/"},
        )
        headers = {"Accept": "application/json"}
        response = await http.get("/broken/", headers=headers)
        assert response.json() == {"status": 500, "title": "Internal Server Error"}
    assert "for developers alone" in caplog.text


async def test_security(example: Example) -> None:
    example("topics/security.md")
    async with serving(ROOT_URLCONF=sys.modules["records.example"]) as http:
        for target, location in {
            "/shop/": "/shop/",
            "http://testserver/x": "http://testserver/x",
            "https://evil.test/": "/",
            "//evil.test": "/",
            "javascript:alert(1)": "/",
            "": "/",
            "no-name": "no-name",
        }.items():
            response = await http.get("/back/", params={"next": target})
            assert response.headers["location"] == location
