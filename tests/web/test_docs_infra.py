"""The examples of the pages about caches, e-mail and threads work as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.smtp import mail_server
from tests.web.serving import serving

pytestmark = pytest.mark.anyio

TOPICS = Path(__file__).parents[2] / "docs" / "topics"


def example(page: str) -> dict[str, Any]:
    """The names that the Python code of *page* defines."""
    path = TOPICS / page
    code = "\n".join(re.findall(r"```python\n(.*?)```", path.read_text(), re.S))
    names: dict[str, Any] = {"__name__": "records.views"}
    exec(compile(code, str(path), "exec"), names)
    return names


async def test_cache_and_mail() -> None:
    async with (
        mail_server() as server,
        serving(*example("cache-and-mail.md")["urlpatterns"]) as http,
    ):
        assert (await http.get("/chart/")).text == "1. Sinnerman"
        assert (await http.get("/forget/")).text == "forgotten"
        assert (await http.get("/welcome/")).status_code == 200
        assert server.recipients == ["nina@example.org"]
        assert (await http.get("/report/")).text == "333328333350000"
        assert (await http.get("/primes/")).text == "[2, 3, 5, 7, 11, 13, 17, 19]"
