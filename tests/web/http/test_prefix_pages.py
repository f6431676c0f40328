"""A site below a prefix: each link of each page leads to the site, and is served."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.conf import settings
from django.core.files.storage import (
    default_storage,
)
from django.test import override_settings

from tests.records.models import Artist
from tests.web.admin import administering
from tests.web.serving import serving_on_a_socket, settings_for
from vinyl.web import (
    PlainTextResponse,
    Request,
    path,
    render,
)
from vinyl.web.auth import login_not_required
from vinyl.web.staticfiles.serving import static as media_patterns
from vinyl.web.testing import Client, client

pytestmark = pytest.mark.anyio

FILES = {
    "page.html": '<link rel="stylesheet" href="{{ static("site.css") }}">'
    '<a href="{{ url("page") }}">page</a><img src="{{ media }}">'
    '<a href="{{ url("closed") }}">closed</a>',
}
FILES["404.html"] = FILES["500.html"] = (
    '<link href="{{ static("site.css") }}"><a href="{{ url("page") }}">x</a>'
)


@login_not_required
async def page(request: Request) -> Any:
    context = {"media": default_storage.url("a.png")}
    return await render(request, "page.html", context)


@login_not_required
async def failing(request: Request) -> Any:
    raise RuntimeError("on purpose")


@login_not_required
async def login(request: Request) -> Any:
    return PlainTextResponse("log in")


async def closed(request: Request) -> Any:
    return PlainTextResponse("closed")


PAGES = (
    path("", page),
    path("page/", page, name="page"),
    path("failing/", failing),
    path("login/", login, name="login"),
    path("closed/", closed, name="closed"),
    path("admin/", administering.site.urls),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "site.css").write_text("p { color: teal }")
    (tmp_path / "templates").mkdir()
    for name, text in FILES.items():
        (tmp_path / "templates" / name).write_text(text)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.png").write_bytes(b"png")
    return tmp_path


def site_settings(folder: Path, **further: Any) -> dict[str, Any]:
    django = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
    }
    vinyls = {
        "BACKEND": "vinyl.web.templating.Jinja2",
        "APP_DIRS": True,
        "DIRS": [folder / "templates"],
    }
    return {
        "TEMPLATES": [vinyls, django],
        "MIDDLEWARE": [
            *administering.MIDDLEWARE,
            "vinyl.web.auth.LoginRequiredMiddleware",
        ],
        "STATICFILES_DIRS": [folder / "static"],
        "STATIC_URL": "static/",
        "MEDIA_ROOT": folder / "media",
        "MEDIA_URL": "media/",
        "LOGIN_URL": "login",
        "DEBUG": True,
        **further,
    }


def links(html: str) -> set[str]:
    found = re.findall(r'(?:href|src|action)="([^"]*)"', html)
    return {unescape(link) for link in found}


@asynccontextmanager
async def site(folder: Path, root_path: str, **further: Any) -> AsyncIterator[Client]:
    with override_settings(**site_settings(folder, **further)):
        patterns = (*PAGES, *media_patterns(settings.MEDIA_URL, settings.MEDIA_ROOT))
        with settings_for(patterns, site_settings(folder, **further)):
            async with client(
                root_path=root_path, raise_request_exception=False
            ) as http:
                yield http


@pytest.mark.usefixtures("db")
async def test_each_link_of_each_page_is_below_the_prefix(folder: Path) -> None:
    """A browser that follows the links of the site stays in it, and finds all."""
    await administering.superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    async with site(folder, "/shop") as http:
        assert await http.login(username="ada", password="secret")
        start = [
            "/page/",
            "/nothing/",
            "/failing/",
            "/static/nothing.css",
            "/admin/",
            "/admin/records/album/",
            "/admin/records/album/add/",
            f"/admin/records/artist/{artist.pk}/change/",
            f"/admin/records/artist/{artist.pk}/delete/",
            "/admin/password_change/",
        ]
        seen: dict[str, int] = {}
        for address in start:
            response = await http.get(address)
            for link in links(response.text):
                target = urljoin(f"/shop{address}", link)
                if urlsplit(target).netloc or target.startswith(("data:", "#")):
                    continue
                # The admin's link to the site has no slash.
                assert f"{target}/".startswith("/shop/"), (address, link)
                below = target.removeprefix("/shop").partition("#")[0]
                if "logout" not in below and below not in seen:
                    seen[below] = (await http.get(below)).status_code
        # A form that is only sent answers 405.
        missing = {link for link, code in seen.items() if code >= 400 and code != 405}
        assert missing <= set(start)
        assert seen["/static/site.css"] == seen["/media/a.png"] == 200
        assert any("vinyl" in link and "static" in link for link in seen)


@pytest.mark.parametrize("debug", [False, True])
async def test_error_pages_link_below_the_prefix(folder: Path, debug: bool) -> None:
    further = {"DEBUG": debug, "MIDDLEWARE": []}
    async with site(folder, "/shop", **further) as http:
        for address, status in (("/nothing/", 404), ("/failing/", 500)):
            response = await http.get(address)
            assert response.status_code == status
            if not debug:
                assert links(response.text) == {"/shop/static/site.css", "/shop/page/"}


async def test_who_is_not_logged_in_is_sent_below_the_prefix(folder: Path) -> None:
    async with site(folder, "/shop") as http:
        response = await http.get("/closed/")
        assert response.headers["location"] == "/shop/login/?next=/shop/closed/"
        response = await http.get("/admin/")
        assert response.headers["location"].startswith("/shop/admin/login/?next=/shop/")


async def test_collected_files_are_served_and_named_below_the_prefix(
    folder: Path,
) -> None:
    name = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    manifest = '{"version": "1.1", "hash": "", "paths": {"site.css": "site.123.css"}}'
    (folder / "static" / "staticfiles.json").write_text(manifest)
    (folder / "static" / "site.123.css").write_text("hashed")
    further = {
        "DEBUG": False,
        "MIDDLEWARE": ["vinyl.web.staticfiles.StaticFilesMiddleware"],
        "STATIC_ROOT": folder / "static",
        "STATICFILES_DIRS": [],
        "STORAGES": settings.STORAGES | {"staticfiles": {"BACKEND": name}},
    }
    for prefix in ("/shop", "", "/other"):
        async with site(folder, prefix, **further) as http:
            assert f"{prefix}/static/site.123.css" in links(
                (await http.get("/page/")).text
            )
            assert (await http.get("/static/site.123.css")).text == "hashed"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("static/", "/shop/static/site.css"),
        ("/shop/static/", "/shop/static/site.css"),
        # As Django has it: an absolute path stays what it is.
        ("/static/", "/static/site.css"),
        ("https://cdn.test/static/", "https://cdn.test/static/site.css"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
async def test_where_static_url_leads(
    folder: Path, url: str, address: str, debug: bool
) -> None:
    further = {
        "DEBUG": debug,
        "MIDDLEWARE": ["vinyl.web.staticfiles.StaticFilesMiddleware"],
        "STATIC_ROOT": folder / "static",
        "STATICFILES_DIRS": [folder / "static"] if debug else [],
        "STATIC_URL": url,
    }
    if debug:
        further["STATIC_ROOT"] = folder / "elsewhere"
    async with site(folder, "/shop", **further) as http:
        assert address in links((await http.get("/page/")).text)
        status = (await http.get("/static/site.css")).status_code
        # During development a CDN's files are not ours to serve.
        assert status == (404 if debug and "cdn" in url else 200)


# ----- uvicorn


@pytest.mark.parametrize("root_path", ["/shop", "/shop/"])
async def test_uvicorn_behind_a_proxy_that_strips_the_prefix(
    folder: Path, root_path: str
) -> None:
    further = site_settings(folder, ALLOWED_HOSTS=["127.0.0.1"])
    async with serving_on_a_socket(*PAGES, root_path=root_path, **further) as http:
        found = await http.get("/page/")
        assert "/shop/static/site.css" in links(found.text)
        assert (await http.get("/static/site.css")).status_code == 200
        found = await http.get("/closed/")
        assert found.headers["location"] == "/shop/login/?next=/shop/closed/"
        assert (await http.get("/page")).headers["location"] == "/shop/page/"


async def test_uvicorn_behind_a_proxy_that_leaves_the_prefix(folder: Path) -> None:
    further = site_settings(folder, ALLOWED_HOSTS=["127.0.0.1"])
    further["FORCE_SCRIPT_NAME"] = "/shop"
    async with serving_on_a_socket(*PAGES, **further) as http:
        found = await http.get("/shop/page/")
        assert "/shop/static/site.css" in links(found.text)
        assert (await http.get("/shop/static/site.css")).status_code == 200
        assert (await http.get("/shop/page")).headers["location"] == "/shop/page/"
