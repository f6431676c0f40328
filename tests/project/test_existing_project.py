"""
A stock Django project becomes async with two changed settings, as the how-to says.

The project is what `django-admin startproject` makes, with the app in `existing/`. Its
tables are made by Django's own backend before anything changes; then Django's own
handlers serve it and Django's own test runner tests it.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.postgres import empty_database
from tests.project.terminal import run, server, wait_for
from tests.settings import database

APP = Path(__file__).parent / "existing"
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "existing-django-project.md"

# The two changes, as the page shows them.
SETTINGS = """\
 INSTALLED_APPS = [
+    'vinyl.orm',
     'django.contrib.admin',
"""
ENGINE = """\
 DATABASES = {
     'default': {
-        'ENGINE': 'django.db.backends.postgresql',
+        'ENGINE': 'vinyl.orm.backends.postgresql',
"""


def changed(text: str, change: str) -> str:
    """*text* with *change* made to it, a diff without line numbers."""
    lines = change.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, text
    return text.replace(before, after)


def shown(path: Path) -> str:
    """The code of *path* without the lines for mypy at its top."""
    return re.sub(r"\A(#.*\n)+\n*", "", path.read_text())


@pytest.mark.skipif(not PAGE.exists(), reason="the docs are not here")
def test_the_page_shows_what_is_tried_here() -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.S)

    assert blocks == [
        ("diff", SETTINGS),
        ("diff", ENGINE),
        ("python", shown(APP / "views.py")),
        ("python", shown(APP / "tests.py")),
    ]


@dataclass
class Project:
    """A stock project with an app, migrated before the two changes and after."""

    folder: Path
    # None for SQLite.
    database_url: str | None

    def manage(self, *args: str) -> str:
        return run("manage", *args, cwd=self.folder)

    def transactions(self) -> int:
        """How many connections are in a transaction; for SQLite 1 stands for any."""
        if self.database_url is None:
            opened = sqlite3.connect(self.folder / "db.sqlite3", timeout=0)
            with closing(opened) as connection:
                try:
                    connection.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError:
                    return 1
                connection.rollback()
                return 0
        with psycopg.connect(self.database_url) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                "current_database() AND pid <> pg_backend_pid() "
                "AND state LIKE 'idle in transaction%'"
            ).fetchone()
            assert found is not None
            return found[0]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("existing")
    if request.param == "sqlite":
        yield make_project(folder, None)
        return
    with empty_database(request.getfixturevalue("postgres_url")) as url:
        yield make_project(folder, url)


def make_project(parent: Path, database_url: str | None) -> Project:
    run("django", "startproject", "mysite", cwd=parent)
    folder = parent / "mysite"
    shutil.copytree(
        APP, folder / "records", ignore=shutil.ignore_patterns("__pycache__")
    )
    urls = folder / "mysite" / "urls.py"
    urls.write_text(
        f"{urls.read_text()}\nfrom django.urls import include\n"
        "urlpatterns += [path('', include('records.urls'))]\n"
    )
    settings = folder / "mysite" / "settings.py"
    # Formatted with Black where that is on the PATH.
    stock = settings.read_text().replace('"', "'")
    stock = stock.replace(
        "    'django.contrib.staticfiles',\n",
        "    'django.contrib.staticfiles',\n    'records',\n",
    )
    engine = ENGINE.replace("postgresql", "sqlite3")
    if database_url is not None:
        engine = ENGINE
        details = database(database_url) | {"ENGINE": "django.db.backends.postgresql"}
        entry = "".join(f"        {key!r}: {details[key]!r},\n" for key in details)
        stock = re.sub(
            r"(?<=DATABASES = \{\n    'default': \{\n).*?(?=    \})",
            lambda _: entry,
            stock,
            flags=re.S,
        )
    settings.write_text(stock)
    project = Project(folder, database_url)
    project.manage("makemigrations", "records")
    project.manage("migrate", "-v0")

    settings.write_text(changed(changed(stock, SETTINGS), engine))
    assert "No migrations to apply." in project.manage("migrate")
    project.manage("shell", "-c", SAMPLE)
    return project


# In sync mode, as any script or command of the project.
SAMPLE = """
from django.contrib.auth.models import User
from records.models import Album, Artist
User.objects.create_superuser("ada", password="correct horse")
Artist.objects.create(name="Miles Davis")
artist = Artist.objects.create(name="Nina Simone")
for title in ["Pastel Blues", "Little Girl Blue"]:
    artist.albums.create(title=title)
assert Album.objects.get(pk=1).artist.name == "Nina Simone"
"""
PASTEL_BLUES = {
    "title": "Pastel Blues",
    "artist": "Nina Simone",
    "others": ["Little Girl Blue"],
}


@dataclass
class Site:
    """The project as Django's own ASGI handler serves it."""

    project: Project
    url: str
    log: Path
    # The cookies of the superuser, who has logged in to the admin.
    cookies: httpx.Cookies

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, cookies=self.cookies, timeout=30)

    def async_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, cookies=self.cookies, timeout=30)

    @property
    def csrf(self) -> dict[str, str]:
        return {"X-CSRFToken": self.cookies["csrftoken"]}


def send_form(client: httpx.Client, address: str, data: dict[str, Any]) -> str:
    """Fill in the form at *address*; return the page that follows."""
    token = re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(address).text
    )
    assert token is not None
    response = client.post(
        address,
        data={"csrfmiddlewaretoken": token[1], **data},
        follow_redirects=True,
    )
    assert response.status_code == 200
    return response.text


@pytest.fixture(scope="module")
def site(project: Project) -> Iterator[Site]:
    command = ["uvicorn", "mysite.asgi:application", "--port", "{port}"]
    with server(*command, cwd=project.folder) as (url, log):
        with httpx.Client(base_url=url, timeout=30) as client:
            page = send_form(
                client,
                "/admin/login/?next=/admin/",
                {"username": "ada", "password": "correct horse"},
            )
            assert "Site administration" in page
        yield Site(project, url, log, client.cookies)
    for complaint in ["Exception ignored", "was never retrieved"]:
        assert complaint not in log.read_text()


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """The superuser's client. After the test no connection is in a transaction."""
    with site.client() as client:
        yield client
    assert site.project.transactions() == 0


def test_an_async_view_awaits_the_names_of_sync_code(client: httpx.Client) -> None:
    assert client.get("/albums/1/").json() == PASTEL_BLUES
    assert client.get("/albums/9999/").status_code == 404


def test_the_a_names_give_the_same(client: httpx.Client) -> None:
    assert client.get("/albums/1/a-names/").json() == PASTEL_BLUES
    assert client.get("/albums/9999/a-names/").status_code == 404


def test_a_sync_view_has_a_thread_as_ever(client: httpx.Client) -> None:
    assert client.get("/albums/1/thread/").json() == PASTEL_BLUES
    assert client.get("/albums/9999/thread/").status_code == 404


def test_on_the_event_loop_every_spelling_stays_there(client: httpx.Client) -> None:
    assert client.get("/albums/1/loop-threads/").json() == ["MainThread"]
    assert client.get("/albums/1/own-thread/").json() != ["MainThread"]


def test_a_template_in_the_bridge_fetches_what_it_mentions(
    client: httpx.Client,
) -> None:
    page = client.get("/albums/").text
    assert "Pastel Blues by Nina Simone" in page
    # A context processor's, for which Django loads session and user.
    assert "For ada" in page


@pytest.mark.anyio
async def test_requests_of_every_kind_side_by_side(site: Site) -> None:
    async with site.async_client() as client:

        async def release(n: int) -> None:
            data = {"artist": f"Artist {n}", "title": f"Album {n}"}
            response = await client.post("/release/", data=data, headers=site.csrf)
            assert response.status_code == 201
            album = await client.get(f"/albums/{response.json()['album']}/")
            assert album.json() == {**data, "others": []}

        async def read(kind: str) -> None:
            assert (await client.get(f"/albums/1/{kind}")).json() == PASTEL_BLUES

        async def mention() -> None:
            assert "by Nina Simone" in (await client.get("/admin/records/album/")).text

        await asyncio.gather(
            *(read(kind) for kind in ["", "a-names/", "thread/"] * 8),
            *(release(n) for n in range(10)),
            *(mention() for _ in range(6)),
        )
        page = (await client.get("/albums/")).text
        assert all(f"Album {n} by Artist {n}" in page for n in range(10))
    assert site.project.transactions() == 0


def test_an_error_in_a_block_rolls_it_back(client: httpx.Client, site: Site) -> None:
    data = {"artist": "Nobody"}
    failed = client.post("/release/failing/", data=data, headers=site.csrf)

    assert failed.status_code == 500
    assert "IntegrityError" in site.log.read_text()
    assert "Nobody" not in client.get("/admin/records/artist/").text


@pytest.mark.anyio
async def test_a_client_that_leaves_rolls_the_block_back(site: Site) -> None:
    def transactions(count: int) -> None:
        wait_for(lambda: site.project.transactions() == count, site.log)

    async with site.async_client() as client:
        data = {"artist": "Nobody"}
        endless = client.post("/release/endless/", data=data, headers=site.csrf)
        request = asyncio.create_task(endless)
        await asyncio.to_thread(transactions, 1)
        request.cancel()
        await asyncio.to_thread(transactions, 0)
        assert "Nobody" not in (await client.get("/admin/records/artist/")).text


def test_the_admin_with_its_session(client: httpx.Client, site: Site) -> None:
    assert "Pastel Blues by Nina Simone" in client.get("/admin/records/album/").text
    added = send_form(
        client, "/admin/records/album/add/", {"artist": "1", "title": "Kind of Blue"}
    )
    assert "was added successfully" in added
    found = re.search(r'/admin/records/album/(\d+)/change/">Kind of Blue', added)
    assert found is not None
    history = client.get(f"/admin/records/album/{found[1]}/history/").text
    assert "Added." in history
    assert client.get(f"/albums/{found[1]}/").json()["artist"] == "Miles Davis"

    with httpx.Client(base_url=site.url) as stranger:
        assert stranger.get("/admin/records/album/").status_code == 302
        forged = stranger.post("/admin/login/", data={"username": "ada"})
        assert forged.status_code == 403


def test_user_and_session_in_an_async_view(client: httpx.Client, site: Site) -> None:
    for visits in (1, 2):
        answer = client.get("/visits/").json()
        assert answer == {"user": "ada", "visits": visits}
    with httpx.Client(base_url=site.url) as stranger:
        location = stranger.get("/visits/").headers["location"]
        assert location.startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("call", "NotAwaitedError: 'QuerySet.count' was called"),
        ("queryset", "NotAwaitedError: This QuerySet of Album has not been awaited"),
        ("relation", "NotFetchedError: Album.artist has not been fetched"),
    ],
    ids=["call", "queryset", "relation"],
)
def test_a_forgotten_await_is_an_error_page_and_in_the_log(
    client: httpx.Client, site: Site, mistake: str, error: str
) -> None:
    response = client.get(f"/unawaited/{mistake}/")

    assert response.status_code == 500
    assert f"Internal Server Error: /unawaited/{mistake}/" in site.log.read_text()
    assert f"vinyl.exceptions.{error}" in site.log.read_text()
    assert client.get("/albums/1/").json() == PASTEL_BLUES


def test_a_call_whose_result_nobody_uses_is_an_error(
    client: httpx.Client, site: Site
) -> None:
    assert client.get("/unawaited/save/").status_code == 500

    told = "'Album.save' was called on the event loop and its result was dropped"
    wait_for(lambda: told in site.log.read_text(), site.log)


def test_check_finds_the_plain_mistakes_and_nothing_else(project: Project) -> None:
    printed = project.manage("check")

    found = re.findall(r"more_views\.py:\d+: \((.*?)\) .*`async def (\w+)", printed)
    assert found == [
        ("vinyl.W001", "unawaited_call"),
        ("vinyl.W002", "unawaited_queryset"),
        ("vinyl.W001", "unawaited_save"),
    ]
    assert "identified 3 issues" in printed


def test_the_projects_own_tests_pass_and_roll_back(project: Project) -> None:
    printed = project.manage("test", "--noinput")

    assert re.search(r"Ran \d\d tests", printed), printed
    assert printed.count("OK\n") == 1
    assert "never awaited" not in printed
