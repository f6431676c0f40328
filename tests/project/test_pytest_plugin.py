"""The fixtures of the pytest plugin, in the tests of a project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.postgres import empty_database
from tests.project.terminal import PATIENCE, environment, new_project, run, vinyl
from tests.project.test_generated_tests import passed, project

FIXTURES = """
import asyncio

import httpx
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.test import TestCase
from vinyl.orm import transaction
from vinyl.web import mail

LOST = []


@pytest.mark.parametrize("turn", range(2))
async def test_child_tasks_are_in_the_transaction(db, turn):
    assert not await User.objects.exists()
    async with asyncio.TaskGroup() as tasks:
        for name in ("nina", "abbey"):
            tasks.create_task(User.objects.create_user(name))
    async with transaction.atomic(durable=True):
        assert await User.objects.count() == 2


async def test_a_task_that_outlives_its_test_is_started(db):
    async def later():
        await asyncio.Event().wait()

    LOST.append(asyncio.create_task(later()))


async def test_constraints_are_checked_at_the_end(db):
    from django.contrib.auth.models import Permission

    with pytest.raises(IntegrityError):
        async with transaction.atomic():
            await Permission.objects.create(name="x", content_type_id=987654)
            await connection.check_constraints()


@pytest.mark.parametrize("turn", range(2))
async def test_transactions_are_real(transactional_db, turn):
    assert not await User.objects.exists()
    ran = []
    async with transaction.atomic():
        await User.objects.create_user("nina")
        await transaction.on_commit(lambda: ran.append(1))
    assert ran == [1]


def test_what_migrations_wrote_is_still_there(db):
    from django.contrib.auth.models import Permission

    assert Permission.objects.filter(codename="add_user").exists()


async def test_the_live_server_shares_what_is_committed(live_server):
    await User.objects.create_user("nina", password="sinnerman-1965")
    async with httpx.AsyncClient() as browser:
        response = await browser.get(live_server + "/nowhere/")
    assert response.status_code == 404
    assert str(live_server) == live_server.url


async def test_the_admin_is_logged_in(client, admin_client, admin_user):
    assert admin_user.is_superuser
    assert "admin" in (await admin_client.get("/")).text
    assert "Hello admin" not in (await client.get("/")).text


def test_settings_change(settings):
    settings.LANGUAGE_CODE = "de"
    settings.NEW = 1
    del settings.ROOT_URLCONF
    assert (django_settings.LANGUAGE_CODE, django_settings.NEW) == ("de", 1)
    assert not hasattr(django_settings, "ROOT_URLCONF")


def test_settings_are_back(settings):
    assert settings.LANGUAGE_CODE == "en-us" and settings.ROOT_URLCONF
    assert not hasattr(settings, "NEW")


@pytest.mark.parametrize("turn", range(2))
async def test_mail(mailoutbox, turn):
    assert mailoutbox == []
    await mail.send_mail("Hello", "Text", "a@example.com", ["b@example.com"])
    assert [each.subject for each in mailoutbox] == ["Hello"]


async def test_queries_are_counted(db, assert_num_queries, capture_queries):
    with assert_num_queries(2) as record:
        await asyncio.gather(User.objects.count(), User.objects.exists())
    assert "auth_user" in record.queries[0].sql
    with pytest.raises(pytest.fail.Exception, match="1 query was made instead of 2:"):
        with assert_num_queries(2):
            await User.objects.count()
    with assert_num_queries(2, exact=False):
        await User.objects.count()
    with capture_queries() as record:
        await User.objects.count()
    assert record.count == 1


def test_queries_of_plain_tests_are_counted(db, assert_num_queries):
    with assert_num_queries(1):
        User.objects.count()


async def test_hooks_run(db, on_commit_callbacks):
    ran = []

    async def hook():
        ran.append(await User.objects.count())
        await transaction.on_commit(lambda: ran.append("inner"))

    async with on_commit_callbacks() as callbacks:
        async with transaction.atomic():
            await transaction.on_commit(hook)
        assert not ran
    assert ran == [0, "inner"] and callbacks[0] is hook
    async with on_commit_callbacks(execute=False) as callbacks:
        await transaction.on_commit(lambda: ran.append("never"))
    assert len(callbacks) == 1 and "never" not in ran
    with pytest.raises(TypeError, match="async with"):
        with on_commit_callbacks():
            pass


def test_hooks_run_in_plain_tests(db, on_commit_callbacks):
    ran = []

    async def hook():
        ran.append(await User.objects.count())

    with on_commit_callbacks():
        transaction.on_commit(hook)
    assert ran == [0]


class TestUsers(TestCase):
    async def test_once(self):
        assert not await User.objects.exists()
        await User.objects.create_user("nina")

    async def test_twice(self):
        await self.test_once()


def test_nobody_is_left(db):
    assert not User.objects.exists()
"""

FORGOTTEN = """
from django.contrib.auth.models import User


async def test_forgets(db):
    call = User.objects.acreate(username="nina")
    also = User.objects.create(username="nina")
"""

CASES = """
from django.contrib.auth.models import User
from django.db import connection
from django.test import TestCase, TransactionTestCase


class TestUsers(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("zoe")

    def test_it(self):
        assert User.objects.get() == self.user
        name = str(connection.settings_dict["NAME"])
        assert "test_" in name or "memory" in name


class TestTransactions(TransactionTestCase):
    async def test_it(self):
        assert not await User.objects.exists()
        await User.objects.create_user("nina")
"""

KEPT = """
from django.contrib.auth.models import User


async def test_commits(transactional_db):
    assert not await User.objects.exists()
    await User.objects.create_user("nina")
"""


def test_the_fixtures(tmp_path: Path, database_url: str | None) -> None:
    folder = project(tmp_path, FIXTURES)
    printed = run("pytest", "-q", "-W", "error", cwd=folder, database_url=database_url)
    assert passed(printed) == 20 + 2


def test_they_work_in_several_processes(tmp_path: Path, postgres_url: str) -> None:
    folder = project(tmp_path, FIXTURES)
    with empty_database(postgres_url) as url:
        printed = run("pytest", "-q", "-n", "2", cwd=folder, database_url=url)
    assert passed(printed) == 20 + 2


def test_test_cases_have_databases_of_their_own(
    tmp_path: Path, database_url: str | None
) -> None:
    folder = project(tmp_path, CASES)
    printed = run(
        *("pytest", "-q", "tests/test_mixed.py"), cwd=folder, database_url=database_url
    )
    assert passed(printed) == 2
    assert not (folder / "db.sqlite3").exists()


def test_forgotten_calls_fail(tmp_path: Path) -> None:
    folder = project(tmp_path, FORGOTTEN)
    printed = run("pytest", "-q", "tests/test_mixed.py", cwd=folder, fails=True)
    assert "was never awaited" in printed


def test_listing_the_plugin_does_no_harm(tmp_path: Path) -> None:
    folder = project(tmp_path, KEPT)
    printed = run("pytest", "-q", "-p", "vinyl.pytest_plugin", cwd=folder)
    assert passed(printed) == 1 + 2


def test_databases_are_kept_and_used_again(tmp_path: Path, postgres_url: str) -> None:
    folder = project(tmp_path, KEPT)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = f"kept_{os.getpid()}"
        connection.execute(f"CREATE DATABASE {name}")

        def oid() -> int | None:
            found = connection.execute(
                "SELECT oid FROM pg_database WHERE datname = %s", [f"test_{name}"]
            ).fetchone()
            return found[0] if found else None

        url = postgres_url.replace(f"/{connection.info.dbname}?", f"/{name}?")
        assert name in url
        try:
            for options, same in (
                (["--reuse-db"], False),
                (["--reuse-db"], True),
                (["--create-db"], False),
            ):
                before = oid()
                run(
                    *("pytest", "-q", "tests/test_mixed.py", *options),
                    cwd=folder,
                    database_url=url,
                )
                assert (oid() == before) is same
            assert oid() is None
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS test_{name} WITH (FORCE)")
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


SHOP = """
from django.db import models


class Song(models.Model):
    title = models.CharField(max_length=50)
"""

PLAYING = """
from shop.models import Song


def test_first(db):
    Song.objects.create(title="Sinnerman")
"""


def test_kept_databases_are_made_anew_after_changes(
    tmp_path: Path, postgres_url: str
) -> None:
    folder = project(tmp_path, PLAYING)
    vinyl("startapp", "shop", cwd=folder)
    settings = folder / "mysite" / "settings.py"
    settings.write_text(f"{settings.read_text()}\nINSTALLED_APPS += ['shop']\n")
    models = folder / "shop" / "models.py"
    models.write_text(SHOP)
    shutil.rmtree(folder / "shop" / "migrations")

    def tests(url: str, *options: str) -> str:
        command = ("pytest", "-q", "tests/test_mixed.py", "--reuse-db", *options)
        printed = run(*command, cwd=folder, database_url=url)
        assert passed(printed) == 1
        return printed

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = f"changed_{os.getpid()}"
        url = postgres_url.replace(f"/{connection.info.dbname}?", f"/{name}?")
        connection.execute(f"CREATE DATABASE {name}")
        try:
            # An app without migrations, and then with one.
            tests(url)
            vinyl("makemigrations", "shop", cwd=folder)
            assert "because the model shop.Song is not there any more." in tests(url)
            with models.open("a") as file:
                file.write("    length = models.IntegerField(default=0)\n")
            vinyl("makemigrations", "shop", cwd=folder)
            # A new migration is applied.
            assert "made anew" not in tests(url)
            with models.open("a") as file:
                file.write("    plays = models.IntegerField(default=0)\n")
            edited = folder / "shop" / "migrations" / "0001_initial.py"
            added = (
                "('plays', models.IntegerField(default=0)),\n                ('title'"
            )
            edited.write_text(edited.read_text().replace("('title'", added))
            printed = tests(url)
            assert "because the migration shop.0001_initial has changed." in printed
        finally:
            for each in (name, f"test_{name}"):
                connection.execute(f"DROP DATABASE IF EXISTS {each} WITH (FORCE)")


LATER = """
import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["vinyl.orm"])
django.setup()
"""


def test_django_that_is_set_up_later_does_not_activate_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(LATER)
    (tmp_path / "test_it.py").write_text(
        "from django.test import TransactionTestCase\n\n\n"
        "class TestIt(TransactionTestCase):\n"
        "    databases = []\n\n"
        "    async def test_it(self):\n        pass\n"
    )
    options = ("-p", "vinyl.pytest_plugin", "-p", "no:django")
    printed = run("pytest", "-q", *options, cwd=tmp_path)
    assert passed(printed) == 1


def test_without_settings_the_plugin_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n\ndef test_it(pytestconfig):\n"
        "    assert 'django' not in sys.modules\n"
        "    assert 'vinyl.orm' not in sys.modules\n"
    )
    printed = run("pytest", "-q", "-p", "vinyl.pytest_plugin", cwd=tmp_path)
    assert passed(printed) == 1


def test_settings_that_cannot_be_imported_are_reported_briefly(tmp_path: Path) -> None:
    folder = new_project(tmp_path)
    (folder / "pyproject.toml").write_text('[tool.vinyl]\nsettings = "nowhere.at_all"')
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "vinyl.pytest_plugin",
            "-p",
            "no:django",
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "'nowhere.at_all', cannot be used in tests" in done.stderr
    assert "Traceback" not in done.stderr


def test_workers_of_xdist_decide_like_the_first_process(tmp_path: Path) -> None:
    (tmp_path / "own_settings.py").write_text(
        "INSTALLED_APPS = ['vinyl.orm', 'django.contrib.auth',\n"
        "    'django.contrib.contenttypes']\n"
        "DATABASES = {'default': {'ENGINE': 'vinyl.orm.backends.sqlite3'}}\n"
    )
    # Too late for the first process, but not for the environment of the workers.
    (tmp_path / "conftest.py").write_text(
        "import os\n\nimport django\n\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'own_settings')\n"
        "django.setup()\n"
    )
    (tmp_path / "test_own.py").write_text(
        "import pytest\n\n\n"
        "@pytest.mark.parametrize('number', range(4))\n"
        "def test_there_are_no_fixtures_of_vinyl(pytestconfig, number):\n"
        "    assert not pytestconfig.pluginmanager.has_plugin('vinyl.own_fixtures')\n"
    )
    plugins = ["-p", "vinyl.pytest_plugin", "-p", "no:django", "-p", "no:asyncio"]
    for processes in ([], ["-n", "2"]):
        printed = run("pytest", "-q", *plugins, *processes, cwd=tmp_path)
        assert "4 passed" in printed
