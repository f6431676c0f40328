"""Responses for developers show what is known, without a query and without a secret."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records.models import Album, Artist
from tests.web.errors.failing import DEBUG, JSON, TEXT, broken, make_album, missing
from tests.web.serving import serving, templates
from vinyl.orm.recording import recording
from vinyl.web import Request, Response, include, path, render

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def album(request: Request, pk: int) -> Response:
    album = await Album.objects.get(pk=pk)
    return Response(album.artist.name)


async def test_an_unknown_address_shows_what_was_tried() -> None:
    shop = ([path("<slug:slug>/", missing, name="album")], "shop")
    patterns = (path("", broken, name="home"), path("shop/", include(shop)))
    async with serving(*patterns, **DEBUG) as http:
        response = await http.get("/shop/pastel/<b>")
    assert response.status_code == 404
    assert "<b>" not in response.text
    assert "/shop/pastel/" in response.text
    assert "shop/ &lt;slug:slug&gt;/" in response.text
    assert "[name=&#x27;home&#x27;]" in response.text
    assert "DEBUG" in response.text


async def test_http404_shows_its_reason() -> None:
    async with serving(path("", missing), **DEBUG) as http:
        response = await http.get("/")
    assert response.status_code == 404
    assert "No album of that name." in response.text


async def test_an_error_shows_its_place_and_no_secret() -> None:
    async with serving(path("<slug:slug>/", broken), **DEBUG) as http:
        assert (await http.get("/")).status_code == 404
    async with serving(path("", broken), **DEBUG) as http:
        response = await http.get("/?q=asked", headers={"Cookie": "sessionid=stolen"})
    assert response.status_code == 500
    for shown in (
        "ZeroDivisionError",
        "for &lt;developers&gt; only",
        broken.__code__.co_filename,
    ):
        assert shown in response.text
    assert "asked" in response.text
    assert "not-to-be-shown" not in response.text


async def test_a_forgotten_await_is_explained_and_nothing_fetched(
    queries: list[str],
) -> None:
    made = await make_album()
    async with serving(path("<int:pk>/", album), **DEBUG) as http:
        queries.clear()
        response = await http.get(f"/{made.pk}/")
    assert response.status_code == 500
    assert "Album.artist has not been fetched" in response.text
    # The view's own; the page shows the album without a query.
    assert len(queries) == 1


async def test_a_post_with_a_body_the_view_has_read() -> None:
    async def view(request: Request) -> Response:
        await request.form()
        raise ZeroDivisionError("after the form")

    async with serving(path("", view), **DEBUG) as http:
        response = await http.post("/", data={"title": "Pastel Blues"})
    assert response.status_code == 500
    assert "after the form" in response.text


async def test_a_template_error_shows_its_line() -> None:
    async def view(request: Request) -> Response:
        return await render(request, "page.html")

    setting = templates(files={"page.html": "<p>\n{% if %}\n</p>"})
    async with serving(path("", view), **DEBUG, **setting) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "{% if %}" in response.text
    assert "TemplateSyntaxError" in response.text


async def test_text_and_json() -> None:
    async with serving(path("shop/", broken), **DEBUG) as http:
        text = await http.get("/shop/", headers=TEXT)
        json = await http.get("/shop/", headers=JSON)
        missing = await http.get("/none/", headers=JSON)
    assert text.status_code == json.status_code == 500
    assert "ZeroDivisionError" in text.text
    assert "<html" not in text.text
    answer = json.json()
    assert answer["detail"] == "ZeroDivisionError: for <developers> only"
    assert broken.__code__.co_filename in answer["traceback"]
    assert missing.json()["tried"] == ["shop/"]
    for response in (text, json):
        assert "not-to-be-shown" not in response.text


async def test_the_page_shows_the_queries_so_far() -> None:
    async def view(request: Request) -> Response:
        await Artist.objects.filter(name="<Nina>").count()
        raise ZeroDivisionError

    middleware = [f"{__name__}.Recording"]
    async with serving(path("", view), MIDDLEWARE=middleware, **DEBUG) as http:
        response = await http.get("/")
    assert '<div id="queries"' in response.text
    assert "records_artist" in response.text
    assert "&lt;Nina&gt;" in response.text
    assert "<Nina>" not in response.text
    assert f"{Path(__file__).name}:" in response.text.partition('id="queries"')[2]


class Recording:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with recording(full=True):
            await self.app(scope, receive, send)


async def test_an_error_while_a_template_is_rendered_shows_its_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "page.html").write_text("<p>\n\n{{ album.misspelt.name }}\n</p>")

    async def view(request: Request) -> Response:
        return await render(request, "page.html", {"album": Artist(name="Nina")})

    engine = {
        "BACKEND": "vinyl.web.templating.Jinja2",
        "DIRS": [tmp_path],
    }
    async with serving(path("", view), **DEBUG, TEMPLATES=[engine]) as http:
        response = await http.get("/")
    assert response.status_code == 500
    assert "Error during template rendering" in response.text
    assert f"In template <code>{tmp_path / 'page.html'}</code>" in response.text
    assert "error at line <strong>3</strong>" in response.text


async def test_a_form_that_nobody_read_is_not_read_for_the_page() -> None:
    received = []

    async def view(request: Request) -> Response:
        real = request._receive

        async def receive() -> Any:
            received.append(1)
            return await real()

        request._receive = receive
        raise ZeroDivisionError

    async with serving(path("", view), **DEBUG) as http:
        response = await http.post("/", data={"title": "Pastel Blues"})
    assert "ZeroDivisionError" in response.text
    assert received == []


async def test_a_form_that_was_read_is_shown() -> None:
    async def view(request: Request) -> Response:
        await request.form()
        raise ZeroDivisionError

    async with serving(path("", view), **DEBUG) as http:
        response = await http.post("/", data={"title": "Pastel Blues"})
    shown = response.text.partition('<h3 id="post-info">')[2]
    assert "Pastel Blues" in shown.partition("<h3")[0]
