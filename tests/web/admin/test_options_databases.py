"""Objects that are in another database than the users and the log."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.records.models import Album, Artist, Genre, Label
from tests.settings import database
from tests.web.admin.administering import administering, superuser, text
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """A second database, with tables for labels and what refers to them."""
    settings = database(f"sqlite:///{tmp_path}/other.sqlite3")
    configured = connections.configure_settings({"other": settings, "default": {}})
    connections.settings["other"] = configured["other"]
    with connections["other"].schema_editor() as editor:
        for model in (Label, Artist, Genre, Album):
            editor.create_model(model)
    connections["other"].close()
    yield "other"
    connections["other"].close()
    del connections["other"]
    del connections.settings["other"]


class OtherAdmin(ModelAdmin):
    """As Django's documentation has it for several databases."""

    using = "other"

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        obj.save(using=self.using)

    def delete_model(self, request: Any, obj: Any) -> None:
        obj.delete(using=self.using)

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).using(self.using)


async def test_objects_of_another_database(other: str) -> None:
    await superuser()
    await Label.objects.create(name="Here")
    site = AdminSite()
    site.register(Label, OtherAdmin)
    async with administering(site=site) as http:
        add = "/admin/records/label/add/"
        assert (await http.post(add, data={"name": "There"})).status_code == 302
        label = await Label.objects.using(other).get()
        url = f"/admin/records/label/{label.pk}/change/"
        assert "There" in text(await http.get(url))
        listed = text(await http.get("/admin/records/label/"))
        assert "There" in listed
        assert "Here" not in listed
        assert (await http.post(url, data={"name": "Changed"})).status_code == 302
        assert (await Label.objects.using(other).get()).name == "Changed"
        delete = f"/admin/records/label/{label.pk}/delete/"
        assert (await http.post(delete, data={"post": "yes"})).status_code == 302
    assert await Label.objects.using(other).count() == 0
    assert (await Label.objects.get()).name == "Here"
