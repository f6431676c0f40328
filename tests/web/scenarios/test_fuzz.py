"""No request, however strange, gets a 500, and none that is refused changes data."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="call-overload, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.views import LoginView
from django.utils.http import url_has_allowed_host_and_scheme
from hypothesis import HealthCheck, event, given, settings

from tests.fuzz import attacks, complaint
from tests.project.conftest import database_url  # noqa: F401
from tests.project.terminal import environment, vinyl
from tests.records.models import Album, Artist
from tests.web.serving import settings_for
from vinyl.orm import run
from vinyl.web import (
    JSONResponse,
    RedirectResponse,
    Request,
    get_asgi_application,
    get_object_or_404,
    path,
    redirect,
)

pytestmark = [pytest.mark.anyio]

ROOT = Path(__file__).parents[3]
EXAMPLES = int(os.environ.get("VINYL_FUZZ_EXAMPLES", "150"))


class ArtistForm(forms.ModelForm):
    class Meta:
        model = Artist
        fields = ("name",)


async def create(request: Request) -> Any:
    if request.method == "POST":
        await request.form()
        form = ArtistForm(request.POST, request.FILES)
        if await run(form.is_valid):
            await run(form.save)
            return redirect(f"/artists/{form.instance.pk}/")
        return JSONResponse(form.errors, 422)
    return JSONResponse({"q": request.GET.get("q")})


def upload(request: Request) -> Any:
    return JSONResponse(
        {
            name: [
                [f.name, f.size, f.content_type] for f in request.FILES.getlist(name)
            ]
            for name in request.FILES
        }
    )


async def api(request: Request) -> Any:
    data = await request.json() if request.method in ("POST", "PUT") else {}
    form = ArtistForm(data if isinstance(data, dict) else {})
    if await run(form.is_valid):
        await run(form.save)
        return JSONResponse({"created": form.instance.pk, "was": data})
    return JSONResponse({"errors": form.errors, "was": data}, 422)


def visited(request: Request) -> Any:
    request.session["visits"] = request.session.get("visits", 0) + 1
    messages.info(request, request.GET.get("q", "Welcome back."))
    told = [str(message) for message in messages.get_messages(request)]
    return JSONResponse({"user": str(request.user), "told": told})


def login(request: Request) -> Any:
    user = authenticate(
        request,
        username=request.POST.get("username"),
        password=request.POST.get("password"),
    )
    return JSONResponse({"user": str(user)}, 403 if user is None else 200)


async def artist(request: Request, pk: int) -> Any:
    found = await get_object_or_404(Artist, pk=pk)
    return JSONResponse({"name": found.name})


async def search(request: Request, text: Any) -> Any:
    names = [a.name async for a in Artist.objects.filter(name__icontains=text)]
    query = request.query_params.get("q", "")
    albums = await Album.objects.filter(title=query).count()
    return JSONResponse({"names": names, "albums": albums}, headers={"X-Q": "q"})


async def leave(request: Request) -> Any:
    target = request.GET.get("next", "/")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()})
    return RedirectResponse(target if safe else "/", 302)


ROUTES = {
    "/leave/": leave,
    "/create/": create,
    "/upload/": upload,
    "/api/": api,
    "/login/": login,
    "/accounts/login/": LoginView.as_view(),
    "/visited/": visited,
    "/artists/<int:pk>/": artist,
    "/search/<str:text>/": search,
    "/slug/<slug:text>/": search,
    "/path/<path:text>/": search,
    "/uuid/<uuid:text>/": search,
}
MIDDLEWARE = [
    "vinyl.web.security.SecurityMiddleware",
    "vinyl.web.csrf.CSRFMiddleware",
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
]
FIELDS = ["name", "q", "next", "username", "password", "page", "cover"]


@pytest.fixture
def app(db: str) -> Iterator[Any]:
    patterns = tuple(path(route[1:], view) for route, view in ROUTES.items())
    with settings_for(patterns, {"MIDDLEWARE": MIDDLEWARE}):
        yield get_asgi_application()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(attack=attacks(list(ROUTES), FIELDS, ["Nina", "1"]))
async def test_a_site(app: Any, attack: Any) -> None:
    told = await complaint(app, attack)
    event(str(attack.sent[0]["status"]) if attack.sent else "left")
    assert told == ""


SCRIPT = """
import asyncio, sys
from django.utils.http import url_has_allowed_host_and_scheme
from hypothesis import HealthCheck, example, given, settings
from mysite.asgi import application
from tests.fuzz import Attack, attacks, complaint, routes

FIELDS = ["q", "genre", "page", "author", "rating", "text"]
REAL = ["1", "5", "jazz", "live-in-marseille", "quintero-trio", "2"]
runner = asyncio.Runner()
lifespan = application.router.lifespan_context(application)
runner.run(lifespan.__aenter__())
known = list(routes())
assert "/albums/<slug:slug>/" in known, known
statuses = set()


def asked_for(path):
    return Attack("GET", path, b"", [(b"host", b"testserver")], [], False)


# What chance gives may all be refused.
found, lost = asked_for("/albums/"), asked_for("/no-such-page/")


@settings(
    max_examples=int(sys.argv[1]),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(attacks(known, FIELDS, REAL))
@example(found)
@example(lost)
def fuzz(attack):
    told = runner.run(complaint(application, attack))
    assert told == "", told
    statuses.add(attack.sent[0]["status"] if attack.sent else 0)


fuzz()
assert {200, 404} <= statuses, statuses
# In the shop's own clothes.
assert b"All albums" in lost.sent[1]["body"], lost.sent
runner.run(lifespan.__aexit__(None, None, None))
"""


def test_the_example_project(
    tmp_path: Path,
    database_url: str | None,  # noqa: F811
) -> None:
    vinyl("startproject", "mysite", "--example", cwd=tmp_path)
    project = tmp_path / "mysite"
    vinyl("migrate", cwd=project, database_url=database_url)
    vinyl("collectstatic", "--noinput", cwd=project)
    vinyl("loadsample", cwd=project, database_url=database_url)
    (project / "fuzz.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "fuzz.py", str(EXAMPLES)],
        cwd=project,
        env={
            **environment(database_url),
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "DEBUG": "0",
            "ALLOWED_HOSTS": "testserver",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
