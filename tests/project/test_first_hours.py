"""What a new project does in its first hours, before anything is added to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.terminal import new_project, run, serving, vinyl

VIEWS = """
from django.contrib import messages
from vinyl.web import redirect, render


async def home(request):
    return await render(request, "home.html")


async def save(request):
    messages.success(request, "Your album is saved.")
    return redirect("home")
"""

URLS = """
from vinyl.web import admin, include, path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("save/", views.save, name="save"),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
]
"""

TESTS = """
from django.contrib.auth.models import User


async def test_a_message_is_shown_once(client):
    page = await client.get("/save/", follow_redirects=True)
    assert "Your album is saved." in page.text
    assert "Your album is saved." not in (await client.get("/")).text


async def test_logging_in_and_out_is_a_click_away(client):
    await User.objects.create_user("nina", password="sinnerman-1965")
    page = await client.get("/")
    assert 'href="/accounts/login/"' in page.text
    assert (await client.get("/accounts/login/")).status_code == 200

    sent = {"username": "nina", "password": "sinnerman-1965", "next": ""}
    page = await client.post("/accounts/login/", data=sent, follow_redirects=True)
    assert page.url.path == "/"
    assert "nina" in page.text
    assert 'action="/accounts/logout/"' in page.text

    page = await client.post("/accounts/logout/", follow_redirects=True)
    assert 'href="/accounts/login/"' in page.text
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    new_project(tmp_path)
    return tmp_path / "mysite"


def test_messages_are_shown_and_users_log_in_and_out(
    project: Path, database_url: str | None
) -> None:
    (project / "mysite" / "views.py").write_text(VIEWS)
    (project / "mysite" / "urls.py").write_text(URLS)
    (project / "tests" / "test_first.py").write_text(TESTS)
    printed = run("pytest", "-q", "-W", "error", cwd=project, database_url=database_url)
    assert " passed" in printed
    assert "failed" not in printed


def test_the_file_env_is_read_where_the_environment_says_nothing(
    project: Path,
) -> None:
    show = ("shell", "-v", "0", "-c")
    code = "from django.conf import settings; print(settings.DATABASES['default'])"
    assert "db.sqlite3" in vinyl(*show, code, cwd=project)

    (project / ".env").write_text("DATABASE_URL=sqlite:///of-the-file.sqlite3\n")
    assert "of-the-file.sqlite3" in vinyl(*show, code, cwd=project)

    given = "sqlite:///of-the-environment.sqlite3"
    printed = vinyl(*show, code, cwd=project, database_url=given)
    assert "of-the-environment.sqlite3" in printed


def test_the_server_reads_the_file_env(project: Path) -> None:
    (project / ".env").write_text(
        "DATABASE_URL=sqlite:///of-the-file.sqlite3\nDEBUG=0\nALLOWED_HOSTS=127.0.0.1\n"
    )
    vinyl("migrate", cwd=project)
    vinyl("collectstatic", cwd=project)
    assert (project / "of-the-file.sqlite3").exists()
    with serving(project) as client:
        page = client.get("/no-such-page/")
        assert page.status_code == 404
        # The page of the project, not the one for developers.
        assert "Start from the front page" in page.text
        assert 'href="/accounts/login/"' in page.text


@pytest.mark.parametrize("name", ["tests", "static", "templates", "manage"])
def test_a_name_that_the_project_has_already_is_refused(
    tmp_path: Path, name: str
) -> None:
    printed = vinyl("startproject", name, cwd=tmp_path, fails=True)
    assert "Choose another name" in printed
    assert name in printed
    assert not list(tmp_path.iterdir())


def test_a_name_that_only_the_example_has_is_refused_there(tmp_path: Path) -> None:
    printed = vinyl("startproject", "records", "--example", cwd=tmp_path, fails=True)
    assert "Choose another name" in printed
    vinyl("startproject", "records", cwd=tmp_path)
