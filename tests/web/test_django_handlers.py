"""Django's own handlers, with the middleware of a project of vinyl.web."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path

from tests.web.users import NINA
from vinyl.orm import run
from vinyl.web.django_handlers import djangos_middleware
from vinyl.web.middleware import UnusableMiddleware

MIDDLEWARE = [
    "vinyl.web.access.AccessLogMiddleware",
    "vinyl.web.security.SecurityMiddleware",
    "starlette.middleware.gzip.GZipMiddleware",
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.csrf.CSRFMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    f"{__name__}.marking",
    "vinyl.web.messages.MessagesMiddleware",
]
ALLOWED = override_settings(
    ALLOWED_HOSTS=["testserver"],
    MIDDLEWARE=MIDDLEWARE,
    ROOT_URLCONF=__name__,
    # Threads of other tests may have a connection to the other database.
    VINYL={**settings.VINYL, "DJANGO_HANDLER": "bridge"},
)


def marking(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        request.mark = "marked"
        return get_response(request)

    return middleware


def who(request: Any) -> HttpResponse:
    request.session["seen"] = request.session.get("seen", 0) + 1
    name = request.user.username or "nobody"
    return HttpResponse(f"{name} {request.session['seen']} {request.mark}")


urlpatterns = [path("who/", who)]


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.usefixtures("nina")
async def test_djangos_test_client_calls_views(client_class: Any) -> None:
    client = client_class()

    async def get(url: str) -> Any:
        if client_class is Client:
            return await run(client.get, url)
        return await client.get(url)

    with ALLOWED:
        assert (await get("/who/")).content == b"nobody 1 marked"
        await client.alogin(**NINA)
        response = await get("/who/")
        assert response.content == b"nina 2 marked"
        # Of Django's SecurityMiddleware and XFrameOptionsMiddleware.
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        # Of Django's CommonMiddleware.
        assert (await get("/who")).headers["Location"] == "/who/"
        assert settings.MIDDLEWARE == MIDDLEWARE


async def test_a_handler_of_a_package(nina: User) -> None:
    """Wagtail's previews answer a request of their own making."""

    class Handler(BaseHandler):
        def _get_response(self, request: Any) -> HttpResponse:
            return who(request)

    def preview() -> bytes:
        handler = Handler()
        handler.load_middleware()
        request = RequestFactory().get("/anything/")
        return handler.get_response(request).content

    with ALLOWED:
        assert await run(preview) == b"nobody 1 marked"


def test_djangos_middleware() -> None:
    own = "django.middleware.csrf.CsrfViewMiddleware"
    assert list(djangos_middleware([own, *MIDDLEWARE[3:6]])) == [
        own,
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    with pytest.raises(UnusableMiddleware, match=r"'no\.such', which cannot be"):
        list(djangos_middleware(["no.such"]))
