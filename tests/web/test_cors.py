"""Scripts of other origins, by the settings of django-cors-headers."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import override_settings

from tests.web.serving import serving
from vinyl.web import PlainTextResponse, Request, Response, path
from vinyl.web.checks.settings import check_cors

pytestmark = pytest.mark.anyio

MIDDLEWARE = ["vinyl.web.cors.CORSMiddleware"]
FRIEND = "https://friend.test"


async def view(request: Request) -> Response:
    if request.GET.get("fail"):
        raise LookupError
    return PlainTextResponse("read")


PATTERNS = (path("", view), path("api/", view))


@pytest.mark.parametrize(
    ("settings", "origin", "allowed"),
    [
        ({}, FRIEND, None),
        ({"CORS_ALLOWED_ORIGINS": [FRIEND]}, FRIEND, FRIEND),
        ({"CORS_ALLOWED_ORIGINS": [FRIEND]}, "http://friend.test", None),
        ({"CORS_ALLOWED_ORIGINS": [FRIEND]}, "https://friend.test.evil.test", None),
        ({"CORS_ALLOWED_ORIGIN_REGEXES": [r"https://\w+\.test"]}, FRIEND, FRIEND),
        (
            {
                "CORS_ALLOWED_ORIGIN_REGEXES": [
                    re.compile(r"HTTPS://friend\.test", re.I)
                ]
            },
            FRIEND,
            FRIEND,
        ),
        (
            {"CORS_ALLOWED_ORIGIN_REGEXES": [r"https://\w+\.test"]},
            "https://friend.test.evil.com",
            None,
        ),
        ({"CORS_ALLOW_ALL_ORIGINS": True}, FRIEND, "*"),
        (
            {"CORS_ALLOW_ALL_ORIGINS": True, "CORS_ALLOW_CREDENTIALS": True},
            FRIEND,
            FRIEND,
        ),
    ],
)
async def test_origins(
    settings: dict[str, Any], origin: str, allowed: str | None
) -> None:
    async with serving(*PATTERNS, MIDDLEWARE=MIDDLEWARE, **settings) as http:
        response = await http.get("/", headers={"Origin": origin})
        failed = await http.get("/?fail=1", headers={"Origin": origin})
        asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        preflight = await http.options("/", headers=asked)
    assert response.text == "read"
    for answer in (response, failed):
        assert answer.headers.get("access-control-allow-origin") == allowed
    assert preflight.status_code == (400 if allowed is None else 200)
    assert preflight.headers.get("access-control-allow-origin") == allowed
    if allowed != "*":
        assert "Origin" in response.headers["vary"]


async def test_what_a_preflight_says() -> None:
    settings = {
        "CORS_ALLOWED_ORIGINS": [FRIEND],
        "CORS_ALLOW_CREDENTIALS": True,
        "CORS_ALLOW_HEADERS": ["x-token"],
        "CORS_ALLOW_METHODS": ["GET", "PUT"],
        "CORS_EXPOSE_HEADERS": ["X-Total"],
        "CORS_PREFLIGHT_MAX_AGE": 60,
    }
    asked = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "X-Token",
    }
    async with serving(*PATTERNS, MIDDLEWARE=MIDDLEWARE, **settings) as http:
        good = await http.options("/", headers=asked)
        method = await http.options(
            "/", headers=asked | {"Access-Control-Request-Method": "DELETE"}
        )
        header = await http.options(
            "/", headers=asked | {"Access-Control-Request-Headers": "x-other"}
        )
        simple = await http.get("/", headers={"Origin": FRIEND})
    assert good.status_code == 200
    assert good.headers["access-control-allow-methods"] == "GET, PUT"
    assert "x-token" in good.headers["access-control-allow-headers"]
    assert good.headers["access-control-max-age"] == "60"
    assert good.headers["access-control-allow-credentials"] == "true"
    assert (method.status_code, header.status_code) == (400, 400)
    assert simple.headers["access-control-expose-headers"] == "X-Total"
    assert simple.headers["access-control-allow-credentials"] == "true"


async def test_the_usual_methods_and_headers() -> None:
    async with serving(
        *PATTERNS, MIDDLEWARE=MIDDLEWARE, CORS_ALLOWED_ORIGINS=[FRIEND]
    ) as http:
        asked = {
            "Origin": FRIEND,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        response = await http.options("/", headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-max-age"] == "86400"


async def test_certain_paths_only() -> None:
    settings = {"CORS_ALLOWED_ORIGINS": [FRIEND], "CORS_URLS_REGEX": r"^/api/.*$"}
    async with serving(*PATTERNS, MIDDLEWARE=MIDDLEWARE, **settings) as http:
        api = await http.get("/api/", headers={"Origin": FRIEND})
        page = await http.get("/", headers={"Origin": FRIEND})
    assert api.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, []),
        ({"CORS_ALLOWED_ORIGINS": [FRIEND, "http://localhost:3000"]}, []),
        ({"CORS_ALLOWED_ORIGINS": [f"{FRIEND}/"]}, ["vinyl.E111"]),
        ({"CORS_ALLOWED_ORIGINS": ["friend.test", "*"]}, ["vinyl.E111"] * 2),
        ({"CORS_ALLOW_ALL_ORIGINS": True}, []),
        (
            {"CORS_ALLOW_ALL_ORIGINS": True, "CORS_ALLOW_CREDENTIALS": True},
            ["vinyl.W111"],
        ),
    ],
)
def test_the_checks(settings: dict[str, Any], ids: list[str]) -> None:
    with override_settings(MIDDLEWARE=MIDDLEWARE, **settings):
        assert [message.id for message in check_cors()] == ids
    with override_settings(MIDDLEWARE=[], **settings):
        assert check_cors() == []
