"""Posts from other sites are refused; one's own and other programs' pass."""

from __future__ import annotations

import pytest
from django.test import override_settings
from starlette.datastructures import Headers

from tests.web.serving import serving
from vinyl.web import PlainTextResponse, Request, Response, path
from vinyl.web.csrf import refusal

pytestmark = pytest.mark.anyio

CSRF = {"MIDDLEWARE": ["vinyl.web.csrf.CSRFMiddleware"]}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        # No browser: curl, a server, a test's client.
        ({}, True),
        # Browsers since 2023.
        ({"sec-fetch-site": "same-origin", "origin": "https://shop.test"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site", "origin": "https://blog.shop.test"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.test"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "null"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "rubbish"}, False),
        # The header counts that a page cannot set, not the other.
        ({"sec-fetch-site": "cross-site", "origin": "https://shop.test"}, False),
        # Browsers from before 2023 send the origin alone.
        ({"origin": "https://shop.test"}, True),
        ({"origin": "https://SHOP.test"}, True),
        ({"origin": "https://shop.test:8443"}, False),
        ({"origin": "https://evil.test"}, False),
        ({"origin": "https://evil.test/shop.test"}, False),
        ({"origin": "https://shop.test.evil.test"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        # CSRF_TRUSTED_ORIGINS
        ({"sec-fetch-site": "cross-site", "origin": "https://pay.test"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://pay.test"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://a.pay.test"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://a.friends.test"}, True),
        ({"origin": "https://a.friends.test"}, True),
        ({"origin": "https://notfriends.test"}, False),
        ({"origin": "https://ported.test:8443"}, True),
        ({"origin": "https://ported.test"}, False),
    ],
)
def test_what_is_refused(headers: dict[str, str], allowed: bool) -> None:
    trusted = ["https://pay.test", "https://*.friends.test", "https://ported.test:8443"]
    with override_settings(CSRF_TRUSTED_ORIGINS=trusted):
        reason = refusal(Headers({"host": "shop.test", **headers}))
    assert (reason == "") is allowed, reason


async def view(request: Request) -> Response:
    return PlainTextResponse(request.method)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "UNKNOWN"])
async def test_unsafe_methods_are_refused(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}
    async with serving(path("", view), **CSRF) as http:
        response = await http.request(method, "/", headers=headers)
        assert response.status_code == 403
        assert "Cross-site request refused" in response.text
        own = {"Sec-Fetch-Site": "same-origin"}
        assert (await http.request(method, "/", headers=own)).text == method
    assert "https://evil.test" in caplog.text


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "TRACE"])
async def test_safe_methods_pass(method: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}
    async with serving(path("", view), **CSRF) as http:
        assert (await http.request(method, "/", headers=headers)).text == method
