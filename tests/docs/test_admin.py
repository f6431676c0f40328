"""The examples of docs/topics/admin.md work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import pytest

from tests.docs.pages import Example
from tests.records import models
from tests.web.admin.administering import administering, superuser, text
from vinyl.web import admin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


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
        assert [pattern.pattern._route for pattern in names["urlpatterns"]] == [
            "admin/"
        ]
    finally:
        admin.site.unregister([models.Album, models.Artist])
