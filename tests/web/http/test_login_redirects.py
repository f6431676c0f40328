"""Who is not logged in: a redirect for browsers, 401 for clients that ask for JSON."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpResponse

from tests.web.serving import serving
from vinyl.web import path, redirect
from vinyl.web.auth import login_required, permission_required
from vinyl.web.views import View

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

MIDDLEWARE = [
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
]
AUTH: dict[str, Any] = {"MIDDLEWARE": MIDDLEWARE, "LOGIN_URL": "/login/"}
JSON = {"Accept": "application/json"}


async def native(request: Any) -> HttpResponse:
    return HttpResponse("hello")


def plain(request: Any) -> HttpResponse:
    return HttpResponse("hello")


class Page(LoginRequiredMixin, View):
    async def get(self, request: Any) -> HttpResponse:
        return HttpResponse("hello")


@pytest.mark.parametrize(
    "view",
    [
        login_required(native),
        login_required(plain),
        permission_required("auth.add_user")(native),
        Page.as_view(),
    ],
    ids=["async", "plain", "permission", "class"],
)
async def test_decorators_and_mixins(view: Any) -> None:
    async with serving(path("", view), **AUTH) as http:
        asked = await http.get("/", headers=JSON)
        assert asked.status_code == 401
        assert asked.json() == {"status": 401, "title": "Unauthorized"}
        assert "Accept" in asked.headers["vary"]
        assert "location" not in asked.headers
        for accept in ("text/html,*/*", "*/*", "text/html, application/json;q=0.9", ""):
            page = await http.get("/", headers={"Accept": accept})
            assert page.headers["location"] == "/login/?next=/", accept
            assert "Accept" in page.headers["vary"]


async def test_the_middleware() -> None:
    middleware = [*MIDDLEWARE, "vinyl.web.auth.LoginRequiredMiddleware"]
    settings = {**AUTH, "MIDDLEWARE": middleware}
    async with serving(path("", partial(native)), **settings) as http:
        assert (await http.get("/", headers=JSON)).status_code == 401
        assert (await http.get("/")).status_code == 302


async def test_other_redirects_stay() -> None:
    async def elsewhere(request: Any) -> Any:
        return redirect("/login/")

    async with serving(path("", elsewhere), **AUTH) as http:
        assert (await http.get("/", headers=JSON)).status_code == 302
