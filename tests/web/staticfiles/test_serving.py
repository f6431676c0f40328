"""Static files are found where Django's finders look, during development only."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, return-value"

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.serving import serving
from vinyl.web import PlainTextResponse, Request, Response, path, re_path

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


@pytest.mark.parametrize("listed", [False, True])
async def test_no_middleware_answers_for_a_style_sheet(
    folder: Path, listed: bool
) -> None:
    """A catch-all view that wants a login is not asked for static files."""
    middleware = [
        "vinyl.web.sessions.SessionMiddleware",
        "vinyl.web.auth.AuthenticationMiddleware",
        "vinyl.web.auth.LoginRequiredMiddleware",
    ]
    if listed:
        middleware.insert(0, "vinyl.web.staticfiles.StaticFilesMiddleware")
    pages = re_path(r"^.*$", lambda request: PlainTextResponse("a page"))
    settings = {"DEBUG": True, "STATICFILES_DIRS": [folder], "MIDDLEWARE": middleware}
    async with serving(pages, **settings) as http:
        assert (await http.get("/static/site.css")).text == "p { color: teal }"
        assert (await http.get("/static/missing.css")).status_code == 404
        assert (await http.get("/page")).status_code == 302


async def test_served_where_the_middleware_is_listed(folder: Path) -> None:
    middleware = [
        "vinyl.web.security.SecurityMiddleware",
        "vinyl.web.staticfiles.StaticFilesMiddleware",
    ]
    settings = {"DEBUG": True, "STATICFILES_DIRS": [folder], "MIDDLEWARE": middleware}
    async with serving(*PATTERNS, **settings) as http:
        found = await http.get("/static/site.css")
        assert (found.status_code, found.headers["x-frame-options"]) == (200, "DENY")
        missing = await http.get("/static/missing.css")
        assert (missing.status_code, missing.headers["x-frame-options"]) == (
            404,
            "DENY",
        )
