"""The examples of docs/topics/web.md work as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.records import models
from tests.web.serving import serving, templates

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "web.md"


def blocks(language: str) -> str:
    """All the code of *language* on the page."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S))


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the page's code defines."""
    monkeypatch.setitem(sys.modules, "records", ModuleType("records"))
    monkeypatch.setitem(sys.modules, "records.models", models)
    names: dict[str, Any] = {"__name__": "records.views"}
    exec(compile(blocks("python"), str(PAGE), "exec"), names)
    return names


async def test_the_examples(example: dict[str, Any]) -> None:
    files = {
        "records/album.html": blocks("html"),
        "records/artist.html": "{{ artist.name }}",
    }
    async with serving(*example["urlpatterns"], **templates(files=files)) as http:
        await example["test_an_album_is_served"]()
        album = await models.Album.objects.get()
        await album.tracks.create(title="Sinnerman")
        renamed = await http.post(
            f"/albums/{album.pk}/rename/", data={"title": "Blues"}
        )
        assert renamed.headers["location"] == f"/albums/{album.pk}/"
        page = (await http.get(f"/albums/{album.pk}/")).text
        for part in ("<h1>Blues</h1>", "by Nina Simone</p>", "<li>Sinnerman</li>"):
            assert part in page
        assert (await http.get(f"/artists/{album.artist_id}/")).text == "Nina Simone"
        assert (await http.get("/artists/999/")).status_code == 404
