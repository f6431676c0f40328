"""The rest of what `manage.py test` runs: rolling back, clients, servers."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, unreachable"
# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-call, no-untyped-def"

import asyncio
import json
import urllib.request
from unittest import mock

from django.contrib.auth.models import User
from django.db import connections, transaction
from django.test import (
    AsyncClient,
    LiveServerTestCase,
    TestCase,
    TransactionTestCase,
)

from .models import Album, Artist


class RollbackTests(TestCase):
    """What a test writes, by whatever way, the next does not see."""

    @classmethod
    def setUpTestData(cls):
        cls.artist = Artist.objects.create(name="Nina Simone")

    async def check(self):
        assert await Artist.objects.count() == 1
        assert await Artist.objects.acount() == 1
        await Artist.objects.create(name="Miles Davis")
        await Artist.objects.acreate(name="John Coltrane")
        await self.artist.albums.create(title="Pastel Blues")
        async with transaction.atomic():
            await Artist.objects.create(name="Bill Evans")
        assert await Artist.objects.count() == 4

    async def test_once(self):
        await self.check()

    async def test_again(self):
        await self.check()

    def test_without_an_event_loop(self):
        assert Artist.objects.count() == 1
        Artist.objects.create(name="Miles Davis")

    async def test_an_inner_block_rolls_back_alone(self):
        await Artist.objects.create(name="Miles Davis")
        with self.assertRaisesMessage(ValueError, "a broken record"):
            async with transaction.atomic():
                await Artist.objects.create(name="John Coltrane")
                raise ValueError("a broken record")
        assert await Artist.objects.count() == 2

    async def test_a_commit_is_simulated(self):
        done = []
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            async with transaction.atomic():
                transaction.on_commit(lambda: done.append("committed"))
        assert (len(callbacks), done) == (1, ["committed"])


class ClientTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.album = Artist.objects.create(name="Nina Simone").albums.create(
            title="Pastel Blues"
        )
        cls.user = User.objects.create_user("ada")

    def test_an_async_view_from_the_sync_client(self):
        for kind in ["", "a-names/"]:
            response = self.client.get(f"/albums/{self.album.pk}/{kind}")
            assert response.json()["artist"] == "Nina Simone"
        response = self.client.post("/release/", {"artist": "Miles", "title": "Kind"})
        assert response.status_code == 201
        assert Album.objects.count() == 2

    async def test_views_of_every_kind(self):
        for kind in ["", "a-names/", "thread/"]:
            response = await self.async_client.get(f"/albums/{self.album.pk}/{kind}")
            assert response.json()["artist"] == "Nina Simone"
        page = await self.async_client.get("/albums/")
        self.assertContains(page, "Pastel Blues by Nina Simone")

    async def test_side_by_side(self):
        kinds = ["", "a-names/", "thread/"] * 4
        addresses = [f"/albums/{self.album.pk}/{kind}" for kind in kinds]
        answers = await asyncio.gather(*(AsyncClient().get(a) for a in addresses))
        assert len({answer.content for answer in answers}) == 1

    async def test_a_user_who_has_logged_in(self):
        assert (await self.async_client.get("/visits/")).status_code == 302
        await self.async_client.aforce_login(self.user)
        for visits in (1, 2):
            answer = (await self.async_client.get("/visits/")).json()
            assert answer == {"user": "ada", "visits": visits}

    async def test_atomic_requests(self):
        settings = connections.settings["default"]
        with mock.patch.dict(settings, ATOMIC_REQUESTS=True):
            for kind in ["thread/", "non-atomic/"]:
                answer = await self.async_client.get(f"/albums/{self.album.pk}/{kind}")
                assert answer.json()["artist"] == "Nina Simone"
            with self.assertRaisesMessage(RuntimeError, "ATOMIC_REQUESTS"):
                await self.async_client.get(f"/albums/{self.album.pk}/")

    async def test_a_permission(self):
        assert not await self.user.ahas_perm("records.add_album")


class UnwrappedTests(TransactionTestCase):
    """Without a transaction around the test, everything is committed."""

    async def test_what_is_written_is_there(self):
        assert await Artist.objects.count() == 0
        await Artist.objects.create(name="Nina Simone")
        assert await Artist.objects.acount() == 1


class LiveServerTests(LiveServerTestCase):
    """The server is Django's own WSGI handler, in threads."""

    def test_an_async_view(self):
        album = Artist.objects.create(name="Nina Simone").albums.create(title="Blues")
        for kind in ["", "a-names/", "thread/"]:
            address = f"{self.live_server_url}/albums/{album.pk}/{kind}"
            with urllib.request.urlopen(address) as response:
                assert json.load(response)["artist"] == "Nina Simone"
