# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="no-untyped-def"

from django.test import TestCase

from .models import Album, Artist


class AlbumTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.artist = Artist.objects.create(name="Nina Simone")
        cls.album = cls.artist.albums.create(title="Pastel Blues")

    async def test_an_album_names_its_artist(self):
        response = await self.async_client.get(f"/albums/{self.album.pk}/")
        assert response.json()["artist"] == "Nina Simone"

    async def test_an_album_is_released(self):
        data = {"artist": "Miles Davis", "title": "Kind of Blue"}
        response = await self.async_client.post("/release/", data)
        assert response.status_code == 201
        assert await Album.objects.count() == 2
