"""What users may do in the admin: permissions, also for one object."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Album
from tests.web.admin.administering import (
    administering,
    an_album,
    superuser,
    text,
    user,
)
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_permissions_decide_what_is_shown_and_what_is_done() -> None:
    album = await an_album()
    await user("ada", "view_album")
    one = f"/admin/records/album/{album.pk}"
    async with administering() as http:
        index = await http.get("/admin/")
        assert "/admin/records/album/" in index.text
        assert "/admin/records/album/add/" not in index.text
        assert "/admin/records/artist/" not in index.text
        assert (await http.get("/admin/records/artist/")).status_code == 403
        assert "Pastel Blues" in text(await http.get("/admin/records/album/"))
        page = await http.get(f"{one}/change/")
        assert "View album" in text(page)
        assert 'name="_save"' not in page.text
        assert 'name="title"' not in page.text
        assert (await http.get("/admin/records/album/add/")).status_code == 403
        assert (await http.get(f"{one}/delete/")).status_code == 403
        for url in (f"{one}/change/", f"{one}/delete/", "/admin/records/album/add/"):
            response = await http.post(url, data={"title": "x", "post": "yes"})
            assert response.status_code == 403
        assert text(await http.get(f"{one}/history/"))
    await album.refresh_from_db()
    assert album.title == "Pastel Blues"


async def test_staff_without_any_permission_sees_an_index_without_models() -> None:
    await user()
    async with administering() as http:
        assert "permission to view or edit" in text(await http.get("/admin/"))
        assert (await http.get("/admin/records/")).status_code == 404


class OwnAlbums(ModelAdmin):
    """Only what was made in the Sixties may be changed."""

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (
            obj is None or Album.objects.from_the_sixties().filter(pk=obj.pk).exists()
        )


async def test_permissions_for_one_object_are_asked_and_may_use_the_database() -> None:
    old, new = await an_album(), await an_album(year=1999)
    await superuser()
    site = AdminSite()
    site.register(Album, OwnAlbums)
    async with administering(site=site) as http:
        page = await http.get(f"/admin/records/album/{old.pk}/change/")
        assert 'name="_save"' in page.text
        page = await http.get(f"/admin/records/album/{new.pk}/change/")
        assert 'name="_save"' not in page.text
        response = await http.post(f"/admin/records/album/{new.pk}/change/", data={})
        assert response.status_code == 403
