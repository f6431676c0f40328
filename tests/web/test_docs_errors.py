"""The examples of docs/topics/errors.md and security.md work as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.web.serving import serving

pytestmark = pytest.mark.anyio

TOPICS = Path(__file__).parents[2] / "docs" / "topics"


def urlconf(page: str) -> Any:
    """A root urlconf with the code of *page*."""
    text = (TOPICS / page).read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    module = ModuleType("tests.documented")
    exec(compile(code, page, "exec"), vars(module))
    return module


async def test_errors(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ROOT_URLCONF=urlconf("errors.md")) as http:
        response = await http.get("/none/")
        assert (response.status_code, response.json()) == (
            404,
            {"nothing at": "/none/"},
        )
        headers = {"Accept": "application/json"}
        response = await http.get("/broken/", headers=headers)
        assert response.json() == {"status": 500, "title": "Internal Server Error"}
    assert "for developers alone" in caplog.text


async def test_security() -> None:
    async with serving(ROOT_URLCONF=urlconf("security.md")) as http:
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
