"""Deletions that many objects go along with end like Django's, in batches."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import models
from django.db.models.signals import post_delete, pre_delete
from django.utils.connection import ConnectionDoesNotExist

from tests.records.models import Album, Artist, Biography, Tag, Track
from tests.web.admin.administering import (
    AlbumAdmin,
    ArtistAdmin,
    administering,
    superuser,
    text,
)
from tests.web.admin.test_deletion import (
    Base,
    Guard,
    Owner,
    Stranger,
    a_discography,
    guards,
)
from vinyl.orm import run, transaction
from vinyl.web.admin import AdminSite, ModelAdmin, actions, cascades
from vinyl.web.admin.databases import database_of
from vinyl.web.admin.deletion import Reached

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

__all__ = ["guards"]  # a fixture

EVERY = (Artist, Album, Track, Tag, Biography, Album.genres.through)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascades, "BATCH", 4)
    monkeypatch.setattr(ModelAdmin, "delete_in_batches_above", 5)


@pytest.fixture
def deleted() -> Iterator[Counter[tuple[Any, ...]]]:
    """How often each signal has been sent for an object."""
    found: Counter[tuple[Any, ...]] = Counter()

    def count(signal: Any, sender: Any, instance: Any, **kwargs: Any) -> None:
        name = "before" if signal is pre_delete else "after"
        found[name, sender, instance.pk or kwargs["using"]] += 1

    for signal in (pre_delete, post_delete):
        signal.connect(count)
    yield found
    for signal in (pre_delete, post_delete):
        signal.disconnect(count)


class Undone(Exception):
    pass


def left() -> list[list[Any]]:
    return [[*model._default_manager.order_by("pk").values()] for model in EVERY]


def undone(delete: Any, *models: Any) -> list[list[Any]]:
    """What is left after *delete*, which is rolled back."""
    try:
        with transaction.atomic():
            delete()
            found = [
                [*m._default_manager.order_by("pk").values()] for m in models or EVERY
            ]
            raise Undone
    except Undone:
        return found


def site_of(**options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Artist, ArtistAdmin, **options)
    site.register(Album, AlbumAdmin)
    return site


async def test_an_object_and_all_that_goes_along_with_its_progress(
    deleted: Counter[Any],
) -> None:
    await superuser()
    artist = await a_discography()
    other = await a_discography_of_others()
    url = f"/admin/records/artist/{artist.pk}/delete/"
    expected = await run(undone, artist.delete)
    sent = Counter(deleted)
    deleted.clear()
    async with administering(site=site_of()) as http:
        page = await http.post(url, data={"post": "yes"})
    shown = text(page)
    for line in ("Tracks: 4 of 10", "Tracks: 10 of 10", "Albums: 8 of 10"):
        assert line in shown
    assert "The artist “Nina Simone” was deleted successfully." in shown
    assert shown.index("Tracks: 10 of 10") < shown.index("Albums: 4 of 10")
    assert await run(left) == expected
    assert await Artist.objects.get() == other
    assert sent == deleted
    assert max(deleted.values()) == 1
    entry = await LogEntry.objects.get()
    assert entry.object_repr == "Nina Simone"


async def a_discography_of_others() -> Artist:
    artist = await Artist.objects.create(name="Sun Ra")
    album = await Album.objects.create(title="Lanquidity", artist=artist)
    await Tag.objects.create(word="space", target=album)
    return artist


async def test_in_a_window_and_with_responses_of_a_project() -> None:
    class Responding(ArtistAdmin):
        def response_delete(self, request: Any, *args: Any) -> Any:
            self.message_user(request, "Gone for good.")
            return super().response_delete(request, *args)

    await superuser()
    first, second = await a_discography(), await a_discography(name="Sun Ra")
    async with administering(site=site_of()) as http:
        url = f"/admin/records/artist/{first.pk}/delete/"
        page = await http.post(url, data={"post": "yes", "_popup": "1"})
        assert '"action": "delete"' in unescape(page.text)
    site = AdminSite()
    site.register(Artist, Responding)
    async with administering(site=site) as http:
        url = f"/admin/records/artist/{second.pk}/delete/"
        page = await http.post(url, data={"post": "yes"})
        assert page.status_code == 302
        assert "Gone for good." in text(await http.get(page.headers["location"]))
    assert await run(left) == [[], [], [], [], [], []]


async def test_an_artist_that_is_kept_keeps_all() -> None:
    class Keeping(ArtistAdmin):
        def delete_model(self, request: Any, obj: Any) -> None:
            obj.name = "Hidden"
            obj.save()

        def delete_queryset(self, request: Any, queryset: Any) -> None:
            queryset.update(name="Hidden, too")

    await superuser()
    artist = await a_discography()
    before = await run(left)
    site = AdminSite()
    site.register(Artist, Keeping)
    async with administering(site=site) as http:
        data = {"post": "yes"}
        url = "/admin/records/artist/"
        await http.post(f"{url}{artist.pk}/delete/", data=data)
        await artist.refresh_from_db()
        assert artist.name == "Hidden"
        data |= {"action": "delete_selected", "_selected_action": str(artist.pk)}
        await http.post(url, data=data)
        await artist.refresh_from_db()
        assert artist.name == "Hidden, too"
    assert (await run(left))[1:] == before[1:]


async def test_selected_rows_with_all_that_goes_along() -> None:
    await superuser()
    artists = [await a_discography(), await a_discography(name="Sun Ra")]
    data = {
        "action": "delete_selected",
        "_selected_action": [str(artist.pk) for artist in artists],
        "post": "yes",
    }
    async with administering(site=site_of()) as http:
        page = await http.post("/admin/records/artist/", data=data)
    shown = text(page)
    assert "Tracks: 20 of 20" in shown
    assert "Successfully deleted 2 artists." in shown
    assert await run(left) == [[], [], [], [], [], []]
    assert await LogEntry.objects.count() == 2


async def test_a_deletion_that_fails_midway_deletes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    albums: list[Any] = []

    def refuse(sender: Any, instance: Any, **kwargs: Any) -> None:
        if sender is Album:
            albums.append(instance)
        if len(albums) == 5:
            raise RuntimeError("the disk is full of secrets")

    await superuser()
    artist = await a_discography()
    before = await run(left)
    pre_delete.connect(refuse)
    try:
        async with administering(site=site_of()) as http:
            url = f"/admin/records/artist/{artist.pk}/delete/"
            page = await http.post(url, data={"post": "yes"})
    finally:
        pre_delete.disconnect(refuse)
    assert "Albums: 4 of 10" in text(page)
    assert "An error occurred" in text(page)
    assert "secrets" not in page.text
    assert await run(left) == before
    assert await LogEntry.objects.count() == 0


async def test_a_small_deletion_and_one_that_is_switched_off_are_djangos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(objs: Any) -> Any:
        raise AssertionError(objs)

    monkeypatch.setattr(cascades, "cascade", never)
    monkeypatch.setattr(actions, "cascade", never)
    await superuser()
    for limit, albums in ((5, 0), (None, 3)):
        artist = await a_discography(albums)
        site = site_of(delete_in_batches_above=limit)
        async with administering(site=site) as http:
            url = f"/admin/records/artist/{artist.pk}/delete/"
            page = await http.post(url, data={"post": "yes"})
            assert page.status_code == 302
    assert await Artist.objects.count() == 0


@pytest.mark.usefixtures("guards")
async def test_threads_families_and_relations_of_every_kind(
    deleted: Counter[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(obj: Any) -> list[Any]:
        """Of Django's deletion, and of one in batches."""
        found = []
        for batched in (False, True):

            def delete(batched: bool = batched) -> None:
                again = type(obj)._default_manager.get(pk=obj.pk)
                deleted.clear()
                if batched:
                    assert [*cascades.cascade([again])]
                again.delete()

            rows = undone(delete, Owner, Base, Guard)
            found.append((rows, Counter(deleted)))
        return found

    owner, other = [await Owner.objects.create() for _ in range(2)]
    guard = None
    for _ in range(12):
        guard = await Guard.objects.create(
            owner=owner, other=other, kept=owner, left=owner, parent=guard
        )

    async def refuses(owner: Owner) -> bool:
        return await run(lambda: [*cascades.cascade([owner])]) == []

    # Strangers have an `on_delete` that nobody knows.
    assert await refuses(owner)
    relation = Stranger._meta.get_field("base").remote_field
    monkeypatch.setattr(relation, "on_delete", models.CASCADE)
    for obj in (owner, await Guard.objects.earliest("pk"), await Base.objects.first()):
        expected, found = await run(ends, obj)
        assert found == expected
        assert found[0][2] == []
    # What is protected is not taken apart before it is refused.
    assert await refuses(other)
    assert await Guard.objects.count() == 12


async def test_objects_of_another_database_leave_those_of_the_same_keys_here() -> None:
    album = Album(pk=1)
    album._state.db = "other"
    elsewhere = Album.objects.using("other")
    assert database_of([album]) == database_of(elsewhere) == "other"
    assert database_of([Album(pk=1)]) == database_of(Album.objects.all()) == "default"
    reached = Reached()
    with pytest.raises(ConnectionDoesNotExist, match="other"):
        await run(reached.start, [album])
    assert reached.using == "other"
