"""From nothing to a page: what startproject makes is migrated, tested and served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.terminal import PATIENCE, environment, run, serving, vinyl


def test_the_bare_project_is_served(tmp_path: Path, database_url: str | None) -> None:
    printed = vinyl("startproject", "mysite", cwd=tmp_path)
    assert "vinyl migrate" in printed

    project = tmp_path / "mysite"
    vinyl("migrate", cwd=project, database_url=database_url)
    assert "no issues" in vinyl("check", cwd=project, database_url=database_url)
    assert "No changes" in vinyl("makemigrations", "--check", cwd=project)

    with serving(project, database_url) as client:
        front = client.get("/")
        assert front.status_code == 200
        assert front.headers["content-type"].startswith("text/html")
        assert "It spins." in front.text
        style = client.get("/static/site.css")
        assert style.status_code == 200
        assert style.headers["content-type"].startswith("text/css")
        assert client.get("/no-such-page/").status_code == 404


def test_the_record_shop_is_served(tmp_path: Path, database_url: str | None) -> None:
    vinyl("startproject", "shop", "--example", cwd=tmp_path)
    project = tmp_path / "shop"
    vinyl("migrate", cwd=project, database_url=database_url)
    assert "no issues" in vinyl("check", cwd=project, database_url=database_url)
    printed = vinyl("loadsample", cwd=project, database_url=database_url)
    assert "Loaded 50 artists, 500 albums, " in printed
    assert "already" in vinyl("loadsample", cwd=project, database_url=database_url)

    with serving(project, database_url) as client:
        assert "The Gentle Carousel" in client.get("/").text
        assert "page 21 of 21" in client.get("/albums/?page=21").text
        as_json = client.get("/api/albums/1/").json()
        listed = client.get("/albums/", params={"q": as_json["title"]}).text
        address = listed.partition('class="card" href="')[2].partition('"')[0]

        page = client.get(address)
        assert page.status_code == 200
        texts = [as_json["artist"], *(track["title"] for track in as_json["tracks"])]
        for text in texts:
            assert text.replace("&", "&amp;").replace("'", "&#39;") in page.text
        assert "/artists/" in page.text

        faulty = client.post(address, data={"author": "Leo", "rating": "6"})
        assert faulty.status_code == 422
        assert 'aria-invalid="true"' in faulty.text
        review = {
            "author": "Leo",
            "rating": "4",
            "text": "A scratch in the right place",
        }
        sent = client.post(address, data=review)
        assert (sent.status_code, sent.headers["location"]) == (
            302,
            f"{address}#reviews",
        )
        assert "A scratch in the right place" in client.get(address).text

        forged = client.post(
            address, data=review, headers={"origin": "https://evil.example"}
        )
        assert forged.status_code == 403
        for missing in ["/albums/none/", "/artists/none/", "/api/albums/0/"]:
            assert client.get(missing).status_code == 404


@pytest.mark.parametrize("options", [(), ("--example",)], ids=["bare", "example"])
def test_its_own_tests_are_green(
    tmp_path: Path, options: tuple[str, ...], database_url: str | None
) -> None:
    vinyl("startproject", "mysite", *options, cwd=tmp_path)

    printed = run(
        "pytest",
        "-q",
        "-W",
        "error",
        cwd=tmp_path / "mysite",
        database_url=database_url,
    )

    assert " passed" in printed
    assert "failed" not in printed


def test_manage_py_is_the_same_command(tmp_path: Path) -> None:
    vinyl("startproject", "mysite", cwd=tmp_path)

    done = subprocess.run(
        [sys.executable, str(tmp_path / "mysite" / "manage.py"), "check"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_an_app_fits_into_the_project(tmp_path: Path) -> None:
    vinyl("startproject", "mysite", cwd=tmp_path)
    project = tmp_path / "mysite"
    vinyl("startapp", "blog_posts", cwd=project)
    (project / "mysite" / "urls.py").write_text(
        "from vinyl.web import include, path\n"
        "from . import views\n"
        "urlpatterns = [\n"
        '    path("", views.home, name="home"),\n'
        '    path("blog/", include("blog_posts.urls")),\n'
        "]\n"
    )
    settings = project / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + 'INSTALLED_APPS += ["blog_posts"]\n')

    assert "no issues" in vinyl("check", cwd=project)
    with serving(project) as client:
        assert "A new app" in client.get("/blog/").text
    assert "1 passed" in run("pytest", "-q", "blog_posts", cwd=project)


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mysite" / "manage.py"
    mine.parent.mkdir()
    mine.write_text("mine")

    printed = vinyl("startproject", "mysite", cwd=tmp_path, fails=True)

    assert "already exists" in printed
    assert "Traceback" not in printed
    assert mine.read_text() == "mine"
    assert list(mine.parent.iterdir()) == [mine]


def test_a_folder_with_such_files_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "manage.py"
    mine.write_text("mine")

    printed = vinyl("startproject", "mysite", ".", cwd=tmp_path, fails=True)

    assert "manage.py already exists" in printed
    assert mine.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [mine]


@pytest.mark.parametrize(
    "name",
    ["my-site", "7site", "json", "vinyl", "../mysite", ""],
    ids=["dash", "digit first", "a module", "vinyl itself", "path", "empty"],
)
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    printed = vinyl("startproject", name, cwd=tmp_path, fails=True)

    assert "Traceback" not in printed
    assert len(printed.strip().splitlines()) <= 3, printed
    assert list(tmp_path.iterdir()) == []


FORGETFUL = """
from django.contrib.auth.models import User


async def test_counts(db):
    User.objects.count()
"""


def test_a_test_that_does_not_await_a_call_fails(tmp_path: Path) -> None:
    vinyl("startproject", "mysite", cwd=tmp_path)
    (tmp_path / "mysite" / "tests" / "test_forgetful.py").write_text(FORGETFUL)
    printed = run("pytest", cwd=tmp_path / "mysite", fails=True)
    assert "FAILED tests/test_forgetful.py::test_counts" in printed
    assert "1 failed" in printed
