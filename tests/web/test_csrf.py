"""Posts from other sites are refused; one's own and other programs' pass."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory, override_settings
from django.views.decorators.csrf import csrf_exempt
from starlette.datastructures import Headers

from tests.web.serving import serving, settings_for, templates
from vinyl.web import (
    PlainTextResponse,
    Request,
    Response,
    get_asgi_application,
    path,
    websocket,
)
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
        ({"origin": "https://[bad"}, False),
        ({"origin": "https://shop.test@evil.test"}, False),
        ({"origin": "shop.test"}, False),
        ({"sec-fetch-site": "same-site", "origin": "https://pay.test"}, True),
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


def test_a_page_that_came_without_tls_is_not_the_same_origin() -> None:
    headers = Headers({"host": "SHOP.test", "origin": "http://shop.test"})
    assert refusal(headers, secure=True)
    # A proxy that ends TLS may not tell of it.
    assert not refusal(headers, secure=False)
    assert not refusal(Headers({**headers, "origin": "https://shop.test"}), True)


CROSS = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}


async def test_a_refusal_is_logged_once_without_control_characters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(path("", view), **CSRF) as http:
        await http.post("/", headers={"Origin": "https://evil.test\x1b[31m"})
    [record] = [r for r in caplog.records if r.name.startswith("django.")]
    assert record.name == "django.security.csrf"
    assert "\x1b" not in record.getMessage()
    assert r"evil.test\x1b[31m" in record.getMessage().replace("\\\\", "\\")


@pytest.mark.parametrize("name", ["403_csrf.html", "403.html"])
async def test_the_projects_page(name: str) -> None:
    files = {name: "{{ status }} from elsewhere"}
    async with serving(path("", view), **CSRF, **templates(files=files)) as http:
        response = await http.post("/", headers=CROSS)
    assert (response.status_code, response.text) == (403, "403 from elsewhere")


def failure(request: Request, reason: str = "") -> Response:
    return PlainTextResponse(f"no: {reason}", 403)


async def test_the_projects_view(caplog: pytest.LogCaptureFixture) -> None:
    setting = {"CSRF_FAILURE_VIEW": f"{__name__}.failure"}
    async with serving(path("", view), **CSRF, **setting) as http:
        response = await http.post("/", headers=CROSS)
    assert response.status_code == 403
    assert response.text.startswith("no: its Sec-Fetch-Site header is 'cross-site'")
    [record] = [r for r in caplog.records if r.name == "django.security.csrf"]
    assert "'cross-site'" in record.getMessage()


async def test_the_refusal_has_the_security_headers() -> None:
    middleware = [
        "vinyl.web.security.SecurityMiddleware",
        "vinyl.web.csrf.CSRFMiddleware",
    ]
    async with serving(path("", view), MIDDLEWARE=middleware) as http:
        response = await http.post("/", headers=CROSS)
    assert response.status_code == 403
    assert response.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("host", "origin", "answer"),
    [
        ("testserver", "http://testserver", "websocket.accept"),
        ("testserver", "http://evil.test", "websocket.close"),
        ("evil.test", "http://evil.test", "websocket.close"),
    ],
)
async def test_websockets_of_other_sites(host: str, origin: str, answer: str) -> None:
    @websocket
    async def talk(socket: Any) -> None:
        await socket.accept()

    middleware = [
        "vinyl.web.security.SecurityMiddleware",
        "vinyl.web.csrf.CSRFMiddleware",
    ]
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    with settings_for((path("", talk),), {"MIDDLEWARE": middleware}):
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", host.encode()), (b"origin", origin.encode())],
        }
        await get_asgi_application()(scope, receive, send)
    assert sent[0]["type"] == answer


class Check(CsrfViewMiddleware):
    """How Django REST framework and django-ninja protect requests with a session."""

    def _reject(self, request: Any, reason: str) -> Any:
        return PlainTextResponse(reason, 403)


@csrf_exempt
def checking(request: Request) -> Any:
    wrapper: Any = SimpleNamespace(_request=request, csrf_processing_done=True)
    by_itself = Check(lambda request: None).process_view(request, None, (), {})
    wrapped = Check(lambda request: None).process_view(wrapper, None, (), {})
    assert (by_itself is None) == (wrapped is None)
    return by_itself or PlainTextResponse("checked")


async def test_packages_check_requests_for_exempt_views_by_the_same_rules() -> None:
    evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.test"}
    own = {"sec-fetch-site": "same-origin"}
    async with serving(path("", checking), **CSRF) as page:
        assert (await page.post("/", headers=own)).text == "checked"
        assert (await page.get("/", headers=evil)).text == "checked"
        refused = await page.post("/", headers=evil)
        assert (refused.status_code, "cross-site" in refused.text) == (403, True)


def test_requests_of_django_are_checked_by_djangos_rules() -> None:
    request = RequestFactory(enforce_csrf_checks=True).post("/")
    answer: Any = Check(lambda request: None).process_view(request, None, (), {})
    assert "cookie" in answer.content.decode()
