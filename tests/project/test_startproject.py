"""
From nothing to a page: what `vinyl startproject` makes is migrated, tested and served.

Each step is a process of its own, as in a user's terminal. The folder, the settings and
the server are real; only the port is found, not given.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

# Seconds for one command, and for a server to answer; generous for a busy machine.
PATIENCE = 90.0


def environment(database_url: str | None = None) -> dict[str, str]:
    """The environment of a user's terminal: nothing of this test run's settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "PYTEST_", "VINYL_", "DATABASE_URL"))
    }
    return kept | ({"DATABASE_URL": database_url} if database_url else {})


def vinyl(
    *args: str, cwd: Path, database_url: str | None = None, fails: bool = False
) -> str:
    """Run the command in *cwd*; return what it printed, errors included."""
    return run("vinyl", *args, cwd=cwd, database_url=database_url, fails=fails)


def run(
    module: str,
    *args: str,
    cwd: Path,
    database_url: str | None = None,
    fails: bool = False,
) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=cwd,
        env=environment(database_url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == (1 if fails else 0), done.stdout
    return done.stdout


@contextmanager
def serving(project: Path, database_url: str | None = None) -> Iterator[httpx.Client]:
    """Serve *project* on a free port; give a client that knows the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = project / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "vinyl", "runserver", "--noreload", str(port)],
            cwd=project,
            env=environment(database_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(port, server, log)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
    finally:
        server.kill()
        server.wait()
    assert "Traceback" not in log.read_text()


def wait_for_port(port: int, server: subprocess.Popen[Any], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"Nothing answers on port {port}: {log.read_text()}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """What the user sets DATABASE_URL to: nothing, or an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgres_url")
    name = f"project_{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        address, _, query = server.partition("?")
        yield f"{address.rpartition('/')[0]}/{name}{'?' if query else ''}{query}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mysite" / "manage.py"
    mine.parent.mkdir()
    mine.write_text("mine")

    printed = vinyl("startproject", "mysite", cwd=tmp_path, fails=True)

    assert "already exists" in printed
    assert "Traceback" not in printed
    assert mine.read_text() == "mine"
    assert list(mine.parent.iterdir()) == [mine]


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


@pytest.mark.parametrize("command", ["migrate", "runserver"])
def test_an_unreachable_database_is_told_briefly(tmp_path: Path, command: str) -> None:
    vinyl("startproject", "mysite", cwd=tmp_path)
    # Port 9 (discard): nothing listens there.
    url = "postgres://ada:secret@127.0.0.1:9/shop"

    printed = vinyl(
        *([command, "--noreload", "0"] if command == "runserver" else [command]),
        cwd=tmp_path / "mysite",
        database_url=url,
        fails=True,
    )

    assert "127.0.0.1" in printed
    assert "Traceback" not in printed
    assert "secret" not in printed
    assert len(printed.strip().splitlines()) <= 15, printed


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:secret@localhost/shop",
        "postgres://ada:secret@localhost:port/shop",
        "postgres://ada:secret@localhost",
        "sqlite://",
        "shop",
    ],
)
def test_a_bad_database_url_is_told_briefly(tmp_path: Path, url: str) -> None:
    vinyl("startproject", "mysite", cwd=tmp_path)

    printed = vinyl("check", cwd=tmp_path / "mysite", database_url=url, fails=True)

    assert "DATABASE_URL" in printed
    assert "Traceback" not in printed
    assert "secret" not in printed


def test_the_database_url_is_read_in_full(tmp_path: Path) -> None:
    vinyl("startproject", "mysite", cwd=tmp_path)
    show = "from django.conf import settings; print(settings.DATABASES['default'])"

    def read(url: str) -> str:
        return run(
            "vinyl",
            "shell",
            "-c",
            show,
            cwd=tmp_path / "mysite",
            database_url=url,
        )

    printed = read("postgres://ada:p%40ss%2F@db.example:6543/my%20shop?sslmode=require")
    for entry in [
        "'NAME': 'my shop'",
        "'USER': 'ada'",
        "'PASSWORD': 'p@ss/'",
        "'HOST': 'db.example'",
        "'PORT': 6543",
        "'sslmode': 'require'",
    ]:
        assert entry in printed
    printed = read("postgresql:///shop?host=/run/postgresql")
    assert "'HOST': '/run/postgresql'" in printed
    assert "'USER': ''" in printed
    assert "/elsewhere/shop.db" in read("sqlite:////elsewhere/shop.db")
    assert f"{tmp_path}/mysite/beside.db" in read("sqlite:///beside.db")
