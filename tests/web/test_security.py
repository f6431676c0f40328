"""Hosts, HTTPS and headers follow Django's settings for them."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urljoin, urlsplit

import django
import httpx
import pytest
from django.http import HttpResponse
from django.views.decorators.clickjacking import xframe_options_exempt

from tests.web.serving import serving, serving_on_a_socket, templates
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    Request,
    Response,
    StreamingResponse,
    path,
    re_path,
    render,
    security,
    websocket,
)

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


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [("1.0", ["127.0.0.1"], 200), ("1.0", ["shop.test"], 400), ("1.1", ["*"], 400)],
)
async def test_without_a_host_http_1_0_is_for_the_address_of_the_server(
    version: str, hosts: list[str], status: int
) -> None:
    async with serving_on_a_socket(*PATTERNS, **SECURITY, ALLOWED_HOSTS=hosts) as http:
        answer = await ask_without_host(http.base_url.port, version)
    assert answer.startswith(f"HTTP/1.1 {status} ")


async def test_without_a_host_http_1_0_is_redirected_to_the_address() -> None:
    settings = {**SECURITY, "SECURE_SSL_REDIRECT": True}
    async with serving_on_a_socket(*PATTERNS, **settings) as http:
        answer = await ask_without_host(http.base_url.port, "1.0")
    assert "location: https://127.0.0.1/" in answer


def test_an_address_of_ipv6_is_a_host_in_brackets() -> None:
    scope = {"http_version": "1.0", "server": ("::1", 80)}
    assert security.host_without_header(scope) == "[::1]"
    assert security.host_without_header({"http_version": "1.0", "server": None}) == ""


async def ask_without_host(port: int | None, version: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET / HTTP/{version}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_long_hosts_are_not_kept_in_memory() -> None:
    security._is_allowed.cache_clear()
    settings: dict[str, Any] = {"ALLOWED_HOSTS": ["*"], **SECURITY}
    async with serving(*PATTERNS, **settings) as http:
        for host in ("shop.test", "a" * 300, "b" * 300):
            assert (await http.get("/", headers={"Host": host})).status_code == 200
    assert security._is_allowed.cache_info().currsize == 1


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


@pytest.mark.parametrize(
    ("path", "redirected"), [("/own/", True), ("/live/", False), ("/a/live/", True)]
)
async def test_paths_without_https(path: str, redirected: bool) -> None:
    settings = {"SECURE_SSL_REDIRECT": True, "SECURE_REDIRECT_EXEMPT": [r"^live/$"]}
    async with serving(*PATTERNS, **SECURITY, **settings) as http:
        response = await http.get(path)
    assert (response.status_code == 301) is redirected


async def test_refused_hosts_have_the_headers() -> None:
    async with serving(*PATTERNS, **SECURITY) as http:
        response = await http.get("/", headers={"Host": "evil.test"})
    assert response.status_code == 400
    assert response.headers["x-content-type-options"] == "nosniff"


# ----- Behind a proxy


async def seen(request: Any) -> Response:
    return JSONResponse(
        {
            "django": f"{request.scheme}://{request.get_host()}",
            "starlette": f"{request.url.scheme}://{request.url.netloc}",
            "secure": request.is_secure(),
            "absolute": request.build_absolute_uri("/x"),
            "port": request.get_port(),
        }
    )


PROXY = {
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "ALLOWED_HOSTS": ["shop.test", "testserver"],
}
FORWARDED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.test",
    "X-Forwarded-Port": "8443",
}


async def test_proxy_headers_apply_to_both_interfaces() -> None:
    settings = {**PROXY, "USE_X_FORWARDED_HOST": True, "USE_X_FORWARDED_PORT": True}
    async with serving(path("", seen), **SECURITY, **settings) as http:
        response = await http.get("/", headers=FORWARDED)
    assert response.json() == {
        "django": "https://shop.test",
        "starlette": "https://shop.test",
        "secure": True,
        "absolute": "https://shop.test/x",
        "port": "8443",
    }


async def test_nothing_is_believed_without_the_settings() -> None:
    async with serving(path("", seen), **SECURITY) as http:
        response = await http.get("/", headers=FORWARDED)
    told = response.json()
    assert told["django"] == told["starlette"] == "http://testserver"
    assert told["secure"] is False
    assert told["port"] != "8443"


@pytest.mark.parametrize(
    ("header", "secure"),
    [("https", True), ("https, http", True), ("http", False), ("HTTPS", False)],
)
async def test_the_scheme_of_a_proxy_header(header: str, secure: bool) -> None:
    for url in ("http://testserver/", "https://testserver/"):
        async with serving(path("", seen), **SECURITY, **PROXY) as http:
            response = await http.get(url, headers={"X-Forwarded-Proto": header})
        told = response.json()
        assert told["secure"] is secure
        assert told["django"] == told["starlette"]


async def test_a_forwarded_host_is_validated_and_used_for_redirects() -> None:
    settings = {**PROXY, "USE_X_FORWARDED_HOST": True, "SECURE_SSL_REDIRECT": True}
    async with serving(path("", seen), **SECURITY, **settings) as http:
        evil = await http.get("/", headers={"X-Forwarded-Host": "evil.test"})
        away = await http.get("/", headers={"X-Forwarded-Host": "shop.test"})
        there = await http.get("/", headers={"X-Forwarded-Proto": "https"})
    assert evil.status_code == 400
    assert away.headers["location"] == "https://shop.test/"
    assert there.status_code == 200


async def test_a_proxy_setting_that_is_not_a_pair() -> None:
    settings = {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO",)}
    async with serving(path("", seen), **SECURITY, **settings) as http:
        assert (await http.get("/")).status_code == 500


# ----- Leaving the site


@pytest.mark.parametrize(
    "target",
    [
        "//evil.test",
        "/\\evil.test",
        "/%2F/evil.test",
        "/%5Cevil.test",
        "///evil.test",
        "/%09/evil.test",
        "/evil.test%3Fa=1",
        "/a%0d%0aset-cookie:b=c",
    ],
)
async def test_the_added_slash_leads_nowhere_else(target: str) -> None:
    anything = re_path(r"^(?s:.*)/$", view)
    async with serving(anything, **SECURITY) as http:
        request = http.build_request("GET", "http://testserver/")
        request.url = httpx.URL("http://testserver", raw_path=target.encode())
        response = await http.send(request)
    assert response.status_code in (301, 404)
    if location := response.headers.get("location"):
        # As a browser reads it.
        there = urljoin("http://testserver/x", location.replace("\\", "/"))
        assert urlsplit(there).netloc == "testserver"
        assert "set-cookie" not in response.headers
        assert urlsplit(there).path.endswith("/")


# ----- Content Security Policy

needs_csp = pytest.mark.skipif(django.VERSION < (6, 0), reason="Django 6.0 brings CSP")
POLICY = {"default-src": ["'self'"], "script-src": ["'self'", "<CSP_NONCE_SENTINEL>"]}


@needs_csp
class TestPolicy:
    async def test_the_settings(self) -> None:
        settings = {"SECURE_CSP": POLICY, "SECURE_CSP_REPORT_ONLY": {"img-src": "x"}}
        async with serving(*PATTERNS, **SECURITY, **settings) as http:
            headers = (await http.get("/")).headers
            missing = (await http.get("/none/")).headers
        # Nobody has asked for a nonce.
        expected = "default-src 'self'; script-src 'self'"
        assert headers["content-security-policy"] == expected
        assert missing["content-security-policy"] == expected
        assert headers["content-security-policy-report-only"] == "img-src x"

    async def test_none_by_default(self) -> None:
        async with serving(*PATTERNS, **SECURITY) as http:
            assert "content-security-policy" not in (await http.get("/")).headers

    @pytest.mark.parametrize(
        "text",
        [
            '<script nonce="{{ csp_nonce }}">',
            '<script nonce="{{ request.csp_nonce }}">',
        ],
    )
    @pytest.mark.parametrize("processors", [(), ("csp",)])
    async def test_a_nonce(self, text: str, processors: tuple[str, ...]) -> None:
        async def page(request: Request) -> Response:
            return await render(request, "page.html")

        names = [f"django.template.context_processors.{p}" for p in processors]
        setting = templates(files={"page.html": text}, context_processors=names)
        async with serving(
            path("", page), **SECURITY, **setting, SECURE_CSP=POLICY
        ) as http:
            first, second = await http.get("/"), await http.get("/")
        nonces = set()
        for response in (first, second):
            nonce = response.text.split('"')[1]
            assert len(nonce) > 20
            assert f"'nonce-{nonce}'" in response.headers["content-security-policy"]
            nonces.add(nonce)
        assert len(nonces) == 2

    async def test_a_page_that_is_streamed(self) -> None:
        async def page(request: Request) -> Response:
            async def parts() -> Any:
                yield str(request.csp_nonce)

            return StreamingResponse(parts())

        async with serving(path("", page), **SECURITY, SECURE_CSP=POLICY) as http:
            response = await http.get("/")
        policy = response.headers["content-security-policy"]
        assert f"'nonce-{response.text}'" in policy

    async def test_djangos_decorators(self) -> None:
        from django.views.decorators.csp import csp_override, csp_report_only_override

        @csp_override({"default-src": ["'none'"]})
        async def strict(request: Request) -> Response:
            return PlainTextResponse("")

        @csp_override({})
        @csp_report_only_override({})
        def without(request: Request) -> Any:
            return HttpResponse("")

        settings = {"SECURE_CSP": POLICY, "SECURE_CSP_REPORT_ONLY": POLICY}
        patterns = (path("strict/", strict), path("without/", without))
        async with serving(*patterns, **SECURITY, **settings) as http:
            strict_ones = (await http.get("/strict/")).headers
            assert strict_ones["content-security-policy"] == "default-src 'none'"
            assert "content-security-policy-report-only" in strict_ones
            assert not [
                n for n in (await http.get("/without/")).headers if "security-pol" in n
            ]

    async def test_the_debug_pages_have_none(self) -> None:
        async def broken(request: Request) -> Response:
            raise ZeroDivisionError

        settings = {"SECURE_CSP": POLICY, "DEBUG": True}
        async with serving(path("", broken), **SECURITY, **settings) as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "content-security-policy" not in response.headers


async def test_a_view_may_be_framed() -> None:
    served = xframe_options_exempt(view)
    async with serving(path("", served), **SECURITY) as http:
        assert "x-frame-options" not in (await http.get("/")).headers


async def test_a_websocket_is_not_redirected() -> None:
    """It could not be followed; a proxy that ends TLS may not tell of it."""

    @websocket
    async def chat(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text("hello")

    settings = {**SECURITY, "SECURE_SSL_REDIRECT": True}
    async with serving(path("ws/", chat), **settings) as http:
        async with http.websocket("/ws/") as ws:
            assert await ws.receive_text() == "hello"
