"""A project that does not start: `vinyl runserver` serves the reason until it does."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.project.terminal import PATIENCE, new_project, serving

TEXT = {"Accept": "text/plain"}

# By the file that is broken: what is written into it, and what the page says of it.
BROKEN = {
    "settings.py": ("unfinished = (", "SyntaxError"),
    "urls.py": ("import nowhere", "No module named 'nowhere'"),
    "views.py": ("def home(request:", "SyntaxError"),
    "asgi.py": ("1 / 0", "division by zero"),
    "models.py": ("from django.db import models\nmodels.Nothing", "'Nothing'"),
}
OWN_APP = 'INSTALLED_APPS += ["mysite"]\n'
BAD_MODEL = """
from django.db import models


class Thing(models.Model):
    name = models.CharField()
    owner = models.ForeignKey("mysite.Nobody", models.CASCADE)
"""
BAD_LIFESPAN = """
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    raise LookupError("no such service")
    yield
"""
CHANGED = """
from vinyl.web import Response


async def home(request):
    return Response("Changed.")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    new_project(folder)
    settings = folder / "mysite" / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + OWN_APP)
    return folder / "mysite"


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture
def http(project: Path) -> Iterator[httpx.Client]:
    """A client of `vinyl runserver`, of which nothing is left after Ctrl-C."""
    with serving(project, reload=True) as client:
        yield client


def wait_for_page(client: httpx.Client, status: int, text: str) -> httpx.Response:
    """The answer to `/` once it has *status* and *text*; no request may hang."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            response = client.get("/", headers=TEXT)
        except httpx.TimeoutException:
            raise
        except httpx.TransportError as error:
            # The process that answered is being replaced.
            assert time.monotonic() < deadline, error
        else:
            if response.status_code == status and text in response.text:
                return response
            assert time.monotonic() < deadline, response.text
        time.sleep(0.05)


def test_an_error_at_start_is_served_until_it_is_fixed(
    project: Path, http: httpx.Client
) -> None:
    package = project / "mysite"
    assert http.get("/").status_code == 200
    # Each is mended by the next, which has to be noticed as well.
    for name, (text, told) in BROKEN.items():
        file = package / name
        sound = file.read_text() if file.exists() else ""
        file.write_text(f"{sound}\n{text}\n")
        page = wait_for_page(http, 500, told)
        assert name in page.text
        file.write_text(sound)
    (package / "views.py").write_text(CHANGED)
    assert wait_for_page(http, 200, "Changed.").text == "Changed."


def test_a_failing_system_check_is_served(project: Path, http: httpx.Client) -> None:
    models = project / "mysite" / "models.py"
    models.write_text(BAD_MODEL)
    page = wait_for_page(http, 500, "fields.E300").text
    assert "mysite.Thing.owner" in page
    # A text of several lines says where it is wrong; how the check ran is no news.
    assert "Traceback" not in page
    models.unlink()
    (project / "mysite" / "views.py").write_text(CHANGED)
    wait_for_page(http, 200, "Changed.")


def test_what_the_lifespan_raises_is_served(project: Path, http: httpx.Client) -> None:
    (project / "mysite" / "lifespan.py").write_text(BAD_LIFESPAN)
    settings = project / "mysite" / "settings.py"
    sound = settings.read_text()
    settings.write_text(f'{sound}\nVINYL = {{"LIFESPAN": "mysite.lifespan.lifespan"}}')
    wait_for_page(http, 500, "no such service")
    settings.write_text(sound)
    wait_for_page(http, 200, "It spins.")


@pytest.mark.parametrize("name", ["views.py", "models.py"])
def test_an_error_at_the_first_start_is_served_until_it_is_fixed(
    project: Path, name: str
) -> None:
    file = project / "mysite" / name
    file.write_text("import nowhere\n")
    with serving(project, reload=True) as http:
        assert "No module named 'nowhere'" in wait_for_page(http, 500, "nowhere").text
        file.write_text("")
        (project / "mysite" / "views.py").write_text(CHANGED)
        wait_for_page(http, 200, "Changed.")


def test_an_error_in_urls_that_are_imported_by_the_first_request_has_a_page(
    project: Path,
) -> None:
    (project / "mysite" / "urls.py").write_text("import nowhere\n")
    with serving(project, reload=True, options=["--skip-checks"]) as http:
        page = wait_for_page(http, 500, "No module named 'nowhere'")
        assert "urls.py" in page.text


@pytest.mark.parametrize("debug", [True, False], ids=["debug", "no-debug"])
def test_the_error_is_in_the_kind_that_the_client_accepts(
    project: Path, debug: bool
) -> None:
    settings = project / "mysite" / "settings.py"
    more = f"DEBUG = {debug}\nALLOWED_HOSTS = ['*']\nSTATIC_ROOT = BASE_DIR\n"
    settings.write_text(settings.read_text() + more)
    (project / "mysite" / "views.py").write_text("secret = 'hush'\n1 / 0\n")
    with serving(project, reload=True) as http:
        for kind in ("text/html", "text/plain", "application/json"):
            page = http.get("/any/?page", headers={"Accept": kind})
            assert page.status_code == 500
            assert page.headers["content-type"].startswith(kind)
            assert ("division by zero" in page.text) is debug
            assert ("views.py" in page.text) is debug
        assert http.post("/", content=b"x" * 10_000).status_code == 500
        assert http.head("/").text == ""
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        assert http.get("/ws/", headers=upgrade).status_code == 500
