"""The examples of docs/topics/admin.md work as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.records import models
from tests.web.admin.administering import administering, superuser, text
from vinyl.web import admin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "admin.md"


async def test_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "records", ModuleType("records"))
    monkeypatch.setitem(sys.modules, "records.models", models)
    names: dict[str, Any] = {"__name__": "records.admin"}
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S))
    try:
        exec(compile(code, str(PAGE), "exec"), names)
        await superuser()
        artist = await models.Artist.objects.create(name="Nina Simone")
        await models.Album.objects.create(title="Pastel Blues", artist=artist)
        middleware = names["MIDDLEWARE"]
        async with administering(site=admin.site, MIDDLEWARE=middleware) as http:
            page = text(await http.get("/admin/records/album/?q=nina"))
        assert "Pastel Blues Nina Simone 1965" in page
        assert [pattern.pattern._route for pattern in names["urlpatterns"]] == [
            "admin/"
        ]
    finally:
        admin.site.unregister([models.Album, models.Artist])
