"""Responses: JSON of model values, and redirects by name, model or address."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import uuid
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import DisallowedRedirect
from django.db.models import TextChoices
from django.urls import NoReverseMatch, reverse_lazy
from django.utils.translation import gettext_lazy

from tests.records.models import Album, Artist
from tests.web.serving import serving, settings_for
from vinyl.exceptions import NotAwaitedError, NotFetchedError
from vinyl.orm import run
from vinyl.web import JSONResponse, Request, Response, include, path, redirect

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


NOON = datetime.datetime(1965, 10, 1, 12, tzinfo=datetime.UTC)
MODEL = SimpleNamespace(get_absolute_url=lambda: "/of-the-model/")


class Size(TextChoices):
    SMALL = "s"


class Plain(enum.Enum):
    A = 1


@dataclasses.dataclass
class Point:
    x: int


async def make_album() -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    return await Album.objects.get(pk=album.pk)


class TestJSON:
    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (datetime.date(1965, 10, 1), "1965-10-01"),
            (NOON, "1965-10-01T12:00:00Z"),
            (datetime.timedelta(minutes=3), "P0DT00H03M00S"),
            (Decimal("9.90"), "9.90"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (datetime.time(12, 30), "12:30:00"),
            (gettext_lazy("No"), "No"),
            (reverse_lazy("home"), "/home/"),
            (Size.SMALL, "s"),
            ("Nina “Simone” </script>", "Nina “Simone” </script>"),
        ],
    )
    @pytest.mark.parametrize("nest", [lambda v: v, lambda v: [v], lambda v: {"v": [v]}])
    def test_model_values(self, value: Any, written: str, nest: Any) -> None:
        with settings_for((path("home/", print, name="home"),), {}):
            response = JSONResponse({"value": nest(value)})
        assert json.loads(response.body) == {"value": nest(written)}
        assert response.headers["content-type"] == "application/json"

    async def test_querysets(self) -> None:
        await make_album()
        rows = Album.objects.values("title", "year")
        await rows
        expected = [{"title": "Pastel Blues", "year": 1965}]
        assert json.loads(JSONResponse(rows).body) == expected
        # A plain view is in the bridge, where the queryset may fetch.
        fresh = Album.objects.values("title", "year")
        assert json.loads((await run(JSONResponse, fresh)).body) == expected

    async def test_a_queryset_not_awaited_is_refused(self) -> None:
        with pytest.raises(NotAwaitedError, match="AlbumQuerySet of Album"):
            JSONResponse(Album.objects.values("title"))

    async def test_a_call_not_awaited_is_refused(self) -> None:
        with pytest.raises(NotAwaitedError, match=r"AlbumQuerySet\.count.*JSON"):
            JSONResponse({"albums": Album.objects.count()})

    async def test_a_lazy_attribute_not_awaited_is_refused(self) -> None:
        album = await make_album()
        with pytest.raises(NotFetchedError, match=r"Album\.artist.*JSON.*Await it"):
            JSONResponse({"artist": album.artist})
        with pytest.raises(NotFetchedError, match=r"Album\.artist.*JSON.*Await it"):
            JSONResponse([{"albums": [("x", {"artist": album.artist})]}])

    async def test_a_model_is_refused_with_advice(self) -> None:
        album = await make_album()
        for value in (album, [album], Album.objects.all()):
            if value is not album and not isinstance(value, list):
                await value
            with pytest.raises(TypeError, match=r"instance of Album.*values\("):
                JSONResponse({"albums": value})

    async def test_the_refusal_reaches_the_log_and_not_the_visitor(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def view(request: Request) -> Response:
            album = await make_album()
            return JSONResponse({"artist": album.artist})

        async with serving(path("", view)) as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "artist" not in response.text
        assert "NotFetchedError: Album.artist has not been fetched" in caplog.text

    @pytest.mark.parametrize(
        "value", [object(), float("nan"), {1, 2}, Plain.A, Point(1)]
    )
    def test_what_json_cannot_express_is_refused(self, value: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            JSONResponse(value)

    def test_status_and_headers(self) -> None:
        response = JSONResponse([], status_code=201, headers={"x-count": "0"})
        assert (response.status_code, response.headers["x-count"]) == (201, "0")


class TestRedirect:
    @pytest.fixture(autouse=True)
    def urls(self) -> Any:
        view = SimpleNamespace
        album = path("albums/<int:pk>/", view, name="album")
        shop = path("shop/", include(([album], "shop")))
        with settings_for((album, shop), {}):
            yield

    @pytest.mark.parametrize(
        ("arguments", "location"),
        [
            (("album", 5), "/albums/5/"),
            ((reverse_lazy("album", args=[6]),), "/albums/6/"),
            (("shop:album", 7), "/shop/albums/7/"),
            (("./tracks/",), "./tracks/"),
            (("/café/?q=a b",), "/caf%C3%A9/?q=a%20b"),
            (("/albums/5/",), "/albums/5/"),
            (("https://example.org/a?b=c",), "https://example.org/a?b=c"),
            (("../",), "../"),
            (("?page=2",), "?page=2"),
            ((MODEL,), "/of-the-model/"),
        ],
    )
    def test_to_names_models_and_addresses(
        self, arguments: tuple[Any, ...], location: str
    ) -> None:
        response = redirect(*arguments)
        assert (response.status_code, response.headers["location"]) == (302, location)

    def test_permanently(self) -> None:
        assert redirect("album", pk=5, permanent=True).status_code == 301

    def test_with_the_same_method(self) -> None:
        assert redirect("/", preserve_request=True).status_code == 307
        moved = redirect("/", permanent=True, preserve_request=True)
        assert moved.status_code == 308

    def test_to_what_is_no_page(self) -> None:
        with pytest.raises(DisallowedRedirect, match="javascript"):
            redirect("javascript:alert(1)/")

    def test_to_a_model_without_a_url(self) -> None:
        async def address() -> str:
            return "/"

        for get in (address, lambda: None):
            with pytest.raises(TypeError, match="not a URL"):
                redirect(SimpleNamespace(get_absolute_url=get))

    def test_to_a_name_that_is_not_there(self) -> None:
        with pytest.raises(NoReverseMatch, match="'artist'"):
            redirect("artist")

    def test_to_a_name_with_wrong_arguments(self) -> None:
        with pytest.raises(NoReverseMatch, match="'album'"):
            redirect("album", "five")
