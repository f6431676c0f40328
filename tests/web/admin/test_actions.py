"""The action that deletes, and actions that show their progress."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests.records.models import Album, Artist
from tests.web.admin.administering import AlbumAdmin, administering, superuser, text
from tests.web.admin.test_deletion import Guard, Owner, guards
from vinyl.web.admin import AdminSite, ModelAdmin, actions

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

__all__ = ["guards"]  # a fixture

LIST = "/admin/records/album/"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "BATCH", 4)


async def some_albums(number: int = 10) -> list[Album]:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    return [
        await Album.objects.create(title=f"Album {i:02}", artist=artist, year=1955 + i)
        for i in range(number)
    ]


def hidden(page: Any) -> dict[str, Any]:
    """The hidden fields of the form that asks."""
    form = page.text.partition("<main")[2]
    fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)
    data: dict[str, Any] = {}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    return data


def asking(albums: list[Any]) -> dict[str, Any]:
    return {
        "action": "delete_selected",
        "index": "0",
        "select_across": "1",
        "_selected_action": str(albums[0].pk),
    }


async def test_all_rows_of_a_list_are_deleted_in_batches_that_are_shown() -> None:
    albums = await some_albums()
    async with administering() as http:
        # Those of the filter, and not the first one.
        asked = await http.post(f"{LIST}?year__gt=1955", data=asking(albums))
        assert "Albums: 9" in text(asked)
        data = hidden(asked)
        assert len(data["_selected_action"]) == 1
        done = await http.post(f"{LIST}?year__gt=1955", data=data)
        assert re.findall(r"\d of \d", text(done)) == ["4 of 9", "8 of 9", "9 of 9"]
        assert "Successfully deleted 9 albums." in text(done)
        assert 'href="/admin/records/album/?' in done.text
    assert [a.title async for a in Album.objects.all()] == ["Album 00"]
    assert await LogEntry.objects.filter(action_flag=3).count() == 9


async def test_other_rows_than_those_that_were_shown_are_not_deleted() -> None:
    albums = await some_albums()
    async with administering() as http:
        data = hidden(await http.post(LIST, data=asking(albums)))
        artist = await Artist.objects.get()
        await Album.objects.create(title="Another", artist=artist)
        again = await http.post(LIST, data=data)
        assert "There are other rows now" in text(again)
        assert await Album.objects.count() == 11
        # Neither with an answer and no question, nor a wrong number.
        for wrong in ({}, {"expected": "x"}, {"expected": "10"}):
            sent = {**asking(albums), "post": "yes", **wrong}
            assert "There are other rows now" in text(await http.post(LIST, data=sent))
        assert await Album.objects.count() == 11
        await http.post(LIST, data=hidden(again))
    assert await Album.objects.count() == 0


async def test_a_deletion_that_fails_midway_deletes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(AlbumAdmin):
        def delete_queryset(self, request: Any, queryset: Any) -> None:
            if any(album.title == "Album 07" for album in queryset):
                raise RuntimeError("the disk is full of secrets")
            super().delete_queryset(request, queryset)

    albums = await some_albums()
    site = AdminSite()
    site.register(Album, Failing)
    async with administering(site=site) as http:
        data = hidden(await http.post(LIST, data=asking(albums)))
        done = await http.post(LIST, data=data)
    assert "4 of 10" in text(done)
    assert "An error occurred" in text(done)
    assert "secrets" not in done.text
    assert "Action ended by an error: POST /admin/records/album/" in caplog.text
    assert await Album.objects.count() == 10
    assert await LogEntry.objects.count() == 0


async def test_without_permission_all_rows_stay() -> None:
    class Kept(AlbumAdmin):
        def get_deleted_objects(self, objs: Any, request: Any) -> Any:
            found = super().get_deleted_objects(objs, request)
            return (*found[:2], {"track"}, found[3])

    albums = await some_albums()
    site = AdminSite()
    site.register(Album, Kept)
    async with administering(site=site) as http:
        data = {**asking(albums), "post": "yes", "expected": "10"}
        assert (await http.post(LIST, data=data)).status_code == 403
    assert await Album.objects.count() == 10


class Unaware(ModelAdmin):
    """Its preview knows nothing of guards."""

    def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        return (*super().get_deleted_objects(objs, request)[:3], [])


@pytest.mark.usefixtures("guards")
async def test_protected_rows_that_appear_meanwhile_stop_the_deletion() -> None:
    await superuser()
    owners = [await Owner.objects.create() for _ in range(10)]
    await Guard.objects.create(other=owners[0])
    for admin, answer in ((Unaware, "used by other guards"), (ModelAdmin, "guard 1")):
        site = AdminSite()
        site.register(Owner, admin)
        async with administering(site=site) as http:
            data = {**asking(owners), "post": "yes", "expected": "10"}
            page = await http.post("/admin/records/owner/", data=data)
            assert answer in text(page)
        assert await Owner.objects.count() == 10
