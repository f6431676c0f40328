"""Hosts, HTTPS and headers follow Django's settings for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.serving import serving
from vinyl.web import PlainTextResponse, Request, Response, path

pytestmark = pytest.mark.anyio

SECURITY = {"MIDDLEWARE": ["vinyl.web.security.SecurityMiddleware"]}


async def view(request: Request) -> Response:
    return PlainTextResponse("served")


async def own_headers(request: Request) -> Response:
    return PlainTextResponse("served", headers={"X-Frame-Options": "SAMEORIGIN"})


PATTERNS = (path("", view), path("own/", own_headers))


@pytest.mark.parametrize(
    ("host", "settings", "served"),
    [
        ("shop.test", {}, True),
        ("SHOP.test:8000", {}, True),
        ("www.shop.test", {}, False),
        ("a.friends.test", {}, True),
        ("evil.test", {}, False),
        ("", {}, False),
        ("shop.test/evil", {}, False),
        ("evil.test", {"ALLOWED_HOSTS": ["*"]}, True),
        ("localhost:8000", {"ALLOWED_HOSTS": [], "DEBUG": True}, True),
        ("[::1]:8000", {"ALLOWED_HOSTS": [], "DEBUG": True}, True),
        ("evil.test", {"ALLOWED_HOSTS": [], "DEBUG": True}, False),
        ("localhost", {"ALLOWED_HOSTS": []}, False),
    ],
)
async def test_hosts(host: str, settings: dict[str, Any], served: bool) -> None:
    settings = {"ALLOWED_HOSTS": ["shop.test", ".friends.test"], **settings}
    async with serving(*PATTERNS, **SECURITY, **settings) as http:
        response = await http.get("/", headers={"Host": host})
    assert response.status_code == (200 if served else 400)
    assert ("served" in response.text) is served


async def test_a_wrong_host_is_logged_with_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(*PATTERNS, **SECURITY) as http:
        response = await http.get("/", headers={"Host": "evil.test"})
    assert "evil.test" not in response.text
    assert "add 'evil.test' to it" in caplog.text
    assert {record.name for record in caplog.records} == {
        "django.security.DisallowedHost"
    }


async def test_headers_by_default() -> None:
    async with serving(*PATTERNS, **SECURITY) as http:
        headers = (await http.get("/")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert "strict-transport-security" not in headers


async def test_error_pages_have_them_too() -> None:
    async with serving(*PATTERNS, **SECURITY) as http:
        response = await http.get("/nothing/")
    assert response.status_code == 404
    assert response.headers["x-frame-options"] == "DENY"


async def test_what_a_view_sets_stays() -> None:
    async with serving(*PATTERNS, **SECURITY) as http:
        headers = (await http.get("/own/")).headers
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]


async def test_settings_change_them() -> None:
    settings = {
        "SECURE_REFERRER_POLICY": "origin, strict-origin",
        "SECURE_CONTENT_TYPE_NOSNIFF": False,
        "SECURE_CROSS_ORIGIN_OPENER_POLICY": None,
        "X_FRAME_OPTIONS": "sameorigin",
    }
    async with serving(*PATTERNS, **SECURITY, **settings) as http:
        headers = (await http.get("/")).headers
    assert headers["referrer-policy"] == "origin,strict-origin"
    assert "x-content-type-options" not in headers
    assert "cross-origin-opener-policy" not in headers
    assert headers["x-frame-options"] == "SAMEORIGIN"


async def test_hsts_over_https_only() -> None:
    settings = {
        "SECURE_HSTS_SECONDS": 3600,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SECURE_HSTS_PRELOAD": True,
    }
    async with serving(*PATTERNS, **SECURITY, **settings) as http:
        secure = await http.get("https://testserver/")
        plain = await http.get("http://testserver/")
    expected = "max-age=3600; includeSubDomains; preload"
    assert secure.headers["strict-transport-security"] == expected
    assert "strict-transport-security" not in plain.headers


@pytest.mark.parametrize(
    ("settings", "host"),
    [({}, "testserver"), ({"SECURE_SSL_HOST": "secure.test"}, "secure.test")],
)
async def test_redirect_to_https(settings: dict[str, Any], host: str) -> None:
    settings = {"SECURE_SSL_REDIRECT": True, **settings}
    async with serving(*PATTERNS, **SECURITY, **settings) as http:
        response = await http.get("/?page=2")
        assert response.status_code == 301
        assert response.headers["location"] == f"https://{host}/?page=2"
        assert (await http.get("https://testserver/")).status_code == 200


async def test_no_redirect_for_a_wrong_host() -> None:
    async with serving(*PATTERNS, **SECURITY, SECURE_SSL_REDIRECT=True) as http:
        response = await http.get("/", headers={"Host": "evil.test"})
    assert response.status_code == 400
