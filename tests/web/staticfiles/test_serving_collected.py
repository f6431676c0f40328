"""Static files in production: what collectstatic has gathered is served."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from tests.web.serving import serving, serving_on_a_socket
from tests.web.staticfiles.collecting import CSS, IDENTITY, MIDDLEWARE, PATTERNS, view
from vinyl.web import get_asgi_application, path
from vinyl.web.staticfiles.serving import best_of, static

pytestmark = pytest.mark.anyio


async def test_hashed_names_may_be_kept_for_ever(collected: Path) -> None:
    url = staticfiles_storage.url("site.css")
    assert url != "/static/site.css"
    async with serving(*PATTERNS) as http:
        hashed = await http.get(url)
        plain = await http.get("/static/site.css")
        image = await http.get(staticfiles_storage.url("img/a.png"))
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert image.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["cache-control"] == "public, max-age=60"
    assert hashed.headers["content-type"] == "text/css; charset=utf-8"
    assert "img/a." in hashed.text
    assert "img/a.png" not in hashed.text


async def test_the_age_of_other_files(collected: Path) -> None:
    async with serving(*PATTERNS, VINYL={"STATIC_MAX_AGE": 3600}) as http:
        found = await http.get("/static/site.css")
    assert found.headers["cache-control"] == "public, max-age=3600"


async def test_a_client_gets_what_it_accepts(collected: Path) -> None:
    async with serving_on_a_socket(*PATTERNS) as http:
        async with http.stream(
            "GET", "/static/site.css", headers={"Accept-Encoding": "gzip"}
        ) as packed:
            body = b"".join([part async for part in packed.aiter_raw()])
        plain = await http.get("/static/site.css", headers=IDENTITY)
        image = await http.get("/static/img/a.png")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(body) < len(CSS) / 10
    assert gzip.decompress(body) == (collected / "site.css").read_bytes()
    assert packed.headers["content-type"] == "text/css; charset=utf-8"
    assert "content-encoding" not in plain.headers
    assert plain.content == (collected / "site.css").read_bytes()
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    assert "vary" not in image.headers


async def test_not_modified_is_told_of_each_variant(collected: Path) -> None:
    async with serving(*PATTERNS) as http:
        for encoding in ("gzip", "identity"):
            headers = {"Accept-Encoding": encoding}
            first = await http.get("/static/site.css", headers=headers)
            headers["If-None-Match"] = first.headers["etag"]
            again = await http.get("/static/site.css", headers=headers)
            assert again.status_code == 304
            assert again.headers["vary"] == "Accept-Encoding"
            assert again.headers["cache-control"] == "public, max-age=60"
            other = {"gzip": "identity", "identity": "gzip"}[encoding]
            headers["Accept-Encoding"] = other
            assert (await http.get("/static/site.css", headers=headers)).content


async def test_ranges_are_of_the_file_itself(collected: Path) -> None:
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=0-4"}
    async with serving(*PATTERNS) as http:
        part = await http.get("/static/site.css", headers=headers)
        whole = await http.get("/static/site.css", headers={"Accept-Encoding": "gzip"})
        if_range = headers | {"If-Range": whole.headers["etag"]}
        other = await http.get("/static/site.css", headers=if_range)
        after = await http.get("/static/tiny.txt", headers={"Range": "bytes=9-"})
    assert (part.status_code, part.text) == (206, CSS[:5])
    assert "content-encoding" not in part.headers
    assert whole.headers["accept-ranges"] == "none"
    # What the client has is the compressed one, so a part of this is of no use.
    assert other.status_code == 200
    assert after.status_code == 416


async def test_a_compressed_file_by_its_own_name(collected: Path) -> None:
    async with serving(*PATTERNS) as http:
        data = await http.get("/static/data.csv.gz")
        packed = await http.get("/static/site.css.gz")
    assert data.headers["content-type"] == "application/gzip"
    assert gzip.decompress(data.content) == b"1,2,3"
    assert packed.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in packed.headers


async def test_an_old_variant_is_not_sent(collected: Path) -> None:
    async with serving(*PATTERNS) as http:
        (collected / "site.css").write_text("new")
        os.utime(collected / "site.css", (2**31, 2**31))
        assert (await http.get("/static/site.css")).text == "new"


async def test_variants_that_others_have_made(collected: Path) -> None:
    modified = (collected / "site.css").stat().st_mtime
    for suffix in (".br", ".zst"):
        (collected / f"site.css{suffix}").write_bytes(suffix.encode())
        os.utime(collected / f"site.css{suffix}", (modified, modified))
    async with serving_on_a_socket(*PATTERNS) as http:
        for accepted, body in {
            "gzip, zstd, br": b".br",
            "gzip, zstd;q=0.9": gzip.compress(
                (collected / "site.css").read_bytes(), 9, mtime=0
            ),
            "gzip;q=0.5, zstd": b".zst",
        }.items():
            async with http.stream(
                "GET", "/static/site.css", headers={"Accept-Encoding": accepted}
            ) as found:
                assert b"".join([part async for part in found.aiter_raw()]) == body


@pytest.mark.parametrize(
    ("header", "best"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0, *", "gzip"),
        ("*;q=0", None),
        ("br;q=nonsense, gzip", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("gzip; q=0.5", "gzip"),
        ("deflate", None),
        (",;=,gzip;", "gzip"),
    ],
)
def test_what_accept_encoding_means(header: str, best: str | None) -> None:
    assert best_of({"br": 1, "gzip": 1}, header) == best


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "..\\secret.txt",
        "/%2fetc/passwd",
        "%00",
        "site.css%00.png",
        "link.txt",
        "folder/secret.txt",
        "a" * 5000,
        "img",
        "img/",
        "",
    ],
)
async def test_nothing_outside_the_folder(collected: Path, name: str) -> None:
    (collected / "link.txt").symlink_to(collected.parent / "secret.txt")
    (collected / "folder").symlink_to(collected.parent)
    async with serving_on_a_socket(path("", view), ALLOWED_HOSTS=["*"]) as http:
        # By hand, for a client resolves the dots.
        reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
        request = f"GET /static/{name} HTTP/1.1\r\nHost: testserver\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    # A NUL is refused before anybody looks for a file.
    status = b"400" if "%00" in name else b"404"
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"not for visitors" not in answer


async def test_a_variant_that_is_a_link_is_not_followed(collected: Path) -> None:
    packed = collected / "site.css.gz"
    packed.unlink()
    packed.symlink_to(collected.parent / "secret.txt")
    async with serving(*PATTERNS) as http:
        found = await http.get("/static/site.css", headers={"Accept-Encoding": "gzip"})
    assert found.text.startswith("p {")


async def test_error_pages_pass_the_middleware_above(collected: Path) -> None:
    middleware = ["vinyl.web.security.SecurityMiddleware", *MIDDLEWARE]
    async with serving(*PATTERNS, MIDDLEWARE=middleware) as http:
        missing = await http.get("/static/missing.css")
        posted = await http.post("/static/site.css")
    assert (missing.status_code, posted.status_code) == (404, 405)
    assert missing.headers["x-frame-options"] == "DENY"
    assert posted.headers["allow"] == "GET, HEAD"


async def test_all_else_is_the_applications(collected: Path) -> None:
    async with serving(*PATTERNS) as http:
        assert (await http.get("/staticky")).text == "the view got staticky"
        assert (await http.post("/static/site.css")).status_code == 405
        head = await http.head("/static/site.css")
        assert (head.status_code, head.content) == (200, b"")


async def test_below_another_path(collected: Path) -> None:
    """A server that mounts the application says so in root_path."""
    with override_settings(ROOT_URLCONF="tests.urls", ALLOWED_HOSTS=["testserver"]):
        transport = httpx.ASGITransport(get_asgi_application(), root_path="/shop")
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as http:
            found = await http.get("/shop/static/site.css")
    assert found.status_code == 200


async def test_a_cdn_asks_for_the_same_path(collected: Path) -> None:
    async with serving(*PATTERNS, STATIC_URL="https://cdn.test/static/") as http:
        assert (await http.get("/static/site.css")).status_code == 200


async def test_in_debug_mode_the_finders_serve(collected: Path) -> None:
    (collected.parent / "source" / "new.css").write_text("new")
    async with serving(*PATTERNS, DEBUG=True) as http:
        assert (await http.get("/static/new.css")).text == "new"


async def test_nothing_has_been_collected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "missing"
    settings = {"MIDDLEWARE": MIDDLEWARE, "STATIC_ROOT": str(root)}
    async with serving(*PATTERNS, **settings) as http:
        assert (await http.get("/static/site.css")).status_code == 404
    assert f"no static files in {root}: run `vinyl collectstatic`" in caplog.text


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"STATIC_ROOT": None}, "STATIC_ROOT is not set"),
        ({"STATIC_URL": "/"}, "STATIC_URL is '/'"),
    ],
)
async def test_wrong_settings(
    tmp_path: Path, settings: dict[str, Any], what: str
) -> None:
    settings = {"STATIC_ROOT": str(tmp_path), **settings, "MIDDLEWARE": MIDDLEWARE}
    with pytest.raises(ImproperlyConfigured, match=what):
        async with serving(*PATTERNS, raising=True, **settings) as http:
            await http.get("/")


class TestUploads:
    """`static(settings.MEDIA_URL, ...)` in urlpatterns."""

    @pytest.fixture
    def media(self, tmp_path: Path) -> Path:
        folder = tmp_path / "media"
        folder.mkdir()
        (folder / "cover.png").write_bytes(b"<script>alert(1)</script>")
        (tmp_path / "secret.txt").write_text("not for visitors")
        (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
        return folder

    async def test_are_served_in_debug_mode(self, media: Path) -> None:
        with override_settings(DEBUG=True):
            patterns = static("/media/", document_root=media)
        async with serving(*patterns, *PATTERNS, DEBUG=True) as http:
            found = await http.get("/media/cover.png")
            missing = await http.get("/media/other.png")
            posted = await http.post("/media/cover.png")
            part = await http.get("/media/cover.png", headers={"Range": "bytes=0-0"})
        assert found.content == b"<script>alert(1)</script>"
        assert found.headers["content-type"] == "image/png"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert (missing.status_code, posted.status_code) == (404, 405)
        assert (part.status_code, part.text) == (206, "<")

    def test_are_not_in_production(self, media: Path) -> None:
        assert static("/media/", document_root=media) == []

    @pytest.mark.parametrize(
        "name",
        ["%2e%2e/secret.txt", "..%2fsecret.txt", "%00", "link.txt", "/etc/passwd", ""],
    )
    async def test_nothing_outside_the_folder(self, media: Path, name: str) -> None:
        with override_settings(DEBUG=True):
            patterns = static("/media/", document_root=media)
        async with serving(*patterns, DEBUG=True) as http:
            response = await http.get(f"/media/{name}")
        assert response.status_code == (400 if name == "%00" else 404)
        assert "not for visitors" not in response.text
