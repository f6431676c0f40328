"""Static files are found where Django's finders look, during development only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.serving import serving
from vinyl.web import PlainTextResponse, Request, Response, path

pytestmark = pytest.mark.anyio


def view(request: Request, rest: str) -> Response:
    return PlainTextResponse(f"the view got {rest}")


PATTERNS = (path("<path:rest>", view),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "site.css").write_text("p { color: teal }")
    (tmp_path / "secret.txt").write_text("not for visitors")
    return folder


async def test_served_in_debug_mode(folder: Path) -> None:
    async with serving(*PATTERNS, DEBUG=True, STATICFILES_DIRS=[folder]) as http:
        found = await http.get("/static/site.css")
        assert (found.status_code, found.text) == (200, "p { color: teal }")
        assert found.headers["content-type"].startswith("text/css")
        etag = {"If-None-Match": found.headers["etag"]}
        assert (await http.get("/static/site.css", headers=etag)).status_code == 304
        assert (await http.get("/static/missing.css")).status_code == 404
        assert (await http.post("/static/site.css")).status_code == 405
        assert (await http.get("/other/site.css")).text == "the view got other/site.css"


@pytest.mark.parametrize(
    "name", ["%2e%2e/secret.txt", "..%2fsecret.txt", "%2e%2e%2fsecret.txt", "%00"]
)
async def test_nothing_outside_the_folders(folder: Path, name: str) -> None:
    async with serving(*PATTERNS, DEBUG=True, STATICFILES_DIRS=[folder]) as http:
        response = await http.get(f"/static/{name}")
    # A NUL is refused before anybody looks for a file.
    assert response.status_code == (400 if name == "%00" else 404)
    assert "not for visitors" not in response.text


async def test_not_served_in_production(folder: Path) -> None:
    async with serving(*PATTERNS, STATICFILES_DIRS=[folder]) as http:
        assert (await http.get("/static/site.css")).text.startswith("the view got")


async def test_not_served_from_another_host(folder: Path) -> None:
    settings = {"DEBUG": True, "STATIC_URL": "https://cdn.test/static/"}
    async with serving(*PATTERNS, **settings, STATICFILES_DIRS=[folder]) as http:
        assert (await http.get("/static/site.css")).text.startswith("the view got")
