"""The examples of docs/topics/admin.md work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import ChoiceLoader, PackageLoader

from tests.docs.pages import Example
from tests.records import models
from tests.web.admin.administering import administering, superuser, text
from tests.web.serving import templates
from vinyl.web import admin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def engine(files: dict[str, str]) -> list[Any]:
    """A setting for TEMPLATES with *files* beside those of the admin."""
    [engine] = templates(files=files)["TEMPLATES"]
    options = engine["OPTIONS"]
    options["loader"] = ChoiceLoader(
        [options["loader"], PackageLoader("vinyl.web.admin")]
    )
    return [engine]


async def test_the_examples(example: Example) -> None:
    try:
        names = example("topics/admin.md")
        await superuser()
        artist = await models.Artist.objects.create(name="Nina Simone")
        await models.Album.objects.create(title="Pastel Blues", artist=artist)
        middleware = names["MIDDLEWARE"]
        async with administering(site=admin.site, MIDDLEWARE=middleware) as http:
            page = text(await http.get("/admin/records/album/?q=nina"))
        assert "Pastel Blues Nina Simone 1965" in page
        site = names["ShopSite"]()
        site.register(models.Album, names["TabbedAlbumAdmin"])
        template = {"shop/sales.html": "{{ card.title }} of today"}
        async with administering(site=site, TEMPLATES=engine(template)) as http:
            page = text(await http.get("/admin/"))
            assert "Albums 1 Newest Pastel Blues" in page
            assert "Sales of today" in page
            page = text(await http.get("/admin/records/album/add/"))
            assert "Details Tracks" in page
        assert names["CarefulSite"]().reauthenticate_after == 900
        assert [pattern.pattern._route for pattern in names["urlpatterns"]] == [
            "admin/"
        ]
    finally:
        admin.site.unregister([models.Album, models.Artist])
