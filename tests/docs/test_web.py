"""The examples of docs/topics/web.md work as they stand."""

from __future__ import annotations

import pytest

from tests.docs.pages import Example, blocks
from tests.records import models
from tests.web.serving import serving, templates

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_the_examples(example: Example) -> None:
    names = example("topics/web.md")
    files = {
        "records/album.html": blocks("topics/web.md", "html"),
        "records/artist.html": "{{ artist.name }}",
    }
    async with serving(*names["urlpatterns"], **templates(files=files)) as http:
        await names["test_an_album_is_served"]()
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
