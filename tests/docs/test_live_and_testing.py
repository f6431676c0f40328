"""The examples about live pages, tests and deploying work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.requests import Request

from tests.docs.pages import Example
from tests.records import models
from tests.web.serving import serving, settings_for
from vinyl.orm import transaction
from vinyl.web import JSONResponse, path, reverse
from vinyl.web import health as health_module
from vinyl.web.testing import client

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    with settings_for((), {}):
        yield


async def album(request: Request, pk: int) -> JSONResponse:
    album = await models.Album.objects.get(pk=pk)
    artist = await album.artist
    return JSONResponse({"title": album.title, "artist": artist.name})


async def test_live_pages_and_their_tests(example: Example) -> None:
    live = dict(example("topics/live.md"))
    tests = example("topics/testing.md")
    patterns = *live["urlpatterns"], path("albums/<int:pk>/", album)
    async with serving(*patterns, raising=True) as http:
        for name in ("test_an_album_is_served", "test_a_new_album_is_sent"):
            async with transaction.atomic():
                await tests[name](None, http)
                transaction.set_rollback(True)
        assert await models.Album.objects.count() == 0
        await tests["test_the_chat_answers"](http)
        assert (await http.get("/api/hello")).text == "Hello from /api"
        assert reverse("api") == "/api/"
        artist = await models.Artist.objects.create(name="Nina Simone")
        played = await models.Album.objects.create(title="Blues", artist=artist)
        await http.get(f"/play/{played.pk}/")
        await played.refresh_from_db()
        assert played.notes == "played "


async def test_a_live_query(example: Example) -> None:
    names = example("topics/live-queries.md")
    async with transaction.atomic(), serving(*names["urlpatterns"]) as http:
        async with http.stream("GET", "/newest/") as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "data: []"
            artist = await models.Artist.objects.create(name="Nina Simone")
            await models.Album.objects.create(title="Blues", artist=artist)
            assert await anext(lines) == ""
            assert await anext(lines) == 'data: ["Blues"]'
        transaction.set_rollback(True)
    [operation] = names["Migration"].operations
    assert operation.describe() == "Report changes of album to watch()"


async def test_the_project_in_another_application(example: Example) -> None:
    outer = example("topics/live.md")["outer"]
    with settings_for((path("albums/<int:pk>/", album),), {}):
        artist = await models.Artist.objects.create(name="Nina Simone")
        made = await models.Album.objects.create(title="Blues", artist=artist)
        async with client(outer) as http:
            response = await http.get(f"/shop/albums/{made.pk}/")
    assert response.json() == {"title": "Blues", "artist": "Nina Simone"}


async def test_a_lifespan_of_the_projects_own(example: Example) -> None:
    example("topics/live.md")

    async def has_client(request: Request) -> JSONResponse:
        return JSONResponse(type(request.state.client).__name__)

    setting = {"LIFESPAN": "records.example.with_client"}
    async with serving(path("", has_client), VINYL=setting) as http:
        assert (await http.get("/")).json() == "AsyncClient"


async def test_health(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_migrated", set())
    async with serving(*example("howto/deploy.md")["urlpatterns"]) as http:
        assert (await http.get("/health/")).status_code == 200
        assert (await http.get("/alive/")).status_code == 200
