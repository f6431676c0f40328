"""What the pytest plugin does with tests that would leave rows, or write elsewhere."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.project.terminal import PATIENCE, environment, run, vinyl, wait_for
from tests.project.test_generated_tests import passed, project

# These have asked for no database: it would be the real one, where `vinyl` works.
UNASKED = """
import pytest
from django.contrib.auth.models import User


@pytest.fixture
def user():
    return User.objects.create(username="of a fixture")


async def test_async():
    await User.objects.create(username="of an async test")


def test_plain():
    User.objects.create(username="of a plain test")


def test_fixture(user):
    pass


def test_that_has_asked(db):
    assert not User.objects.exists()
    User.objects.create(username="nina")


def test_after_it():
    User.objects.create(username="with the connection of another test")


@pytest.fixture(scope="module")
def shared(databases):
    return User.objects.create(username="shared")


def test_of_a_wider_fixture(shared):
    assert User.objects.get() == shared
    shared.delete()


def test_by_name(request):
    with pytest.raises(RuntimeError, match="has not asked for a database"):
        User.objects.exists()
    request.getfixturevalue("db")
    assert not User.objects.exists()
"""

BESIDE = """
import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections


def in_thread(function):
    errors = []

    def work():
        try:
            function()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return str(errors)


async def twice(name):
    await User.objects.create_user(name)
    return await User.objects.count()


def test_threads_are_refused(db):
    User.objects.create_user("nina")
    assert "of its own" in in_thread(User.objects.count)
    assert "of its own" in in_thread(lambda: User.objects.create_user("abbey"))
    assert "of its own" in in_thread(lambda: asyncio.run(twice("abbey")))
    assert User.objects.count() == 1


async def test_threads_of_async_tests(db):
    await User.objects.create_user("nina")
    with pytest.raises(RuntimeError, match=r"with sync_to_async\\(\\), which lends it"):
        await asyncio.to_thread(User.objects.count)
    await sync_to_async(User.objects.create_user)("abbey")
    assert await User.objects.count() == 2


@pytest.fixture
def made(db):
    asyncio.run(twice("nina"))
    yield
    assert asyncio.run(twice("zoe")) == 4


def test_event_loops_of_a_plain_test_are_in_its_transaction(made):
    assert User.objects.count() == 1
    assert asyncio.run(twice("abbey")) == 2
    assert asyncio.run(twice("ella")) == 3
    assert User.objects.count() == 3


async def test_a_fixture_by_name_leaves_the_transaction(db, request):
    await User.objects.create_user("nina")
    request.getfixturevalue("settings")
    assert await User.objects.count() == 1


async def test_transactions_are_requested_too_late(db, request):
    with pytest.raises(pytest.fail.Exception, match="among the arguments of the test"):
        request.getfixturevalue("transactional_db")


def test_threads_see_what_is_committed(transactional_db):
    assert in_thread(lambda: User.objects.create_user("abbey")) == "[]"
    assert User.objects.count() == 1


def test_nobody_is_left(db):
    assert not User.objects.exists()
"""

BROKEN = """
import asyncio

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User


@pytest.fixture
async def setup(db):
    await User.objects.create_user("nina")
    raise ValueError("in setup")


@pytest.fixture
async def teardown(db):
    yield
    await User.objects.create_user("nina")
    raise ValueError("in teardown")


@pytest.fixture
async def refused(db):
    yield
    await User.objects.create(username=None)


@pytest.fixture
async def committed(transactional_db):
    yield
    await User.objects.create_user("nina")
    raise ValueError("after committing")


@pytest.fixture
async def forgotten(db):
    call = User.objects.create_user("nina")
    yield


def test_setup(setup): pass
def test_nobody_is_left_by_setup(db): assert not User.objects.exists()
async def test_teardown(teardown): pass
def test_nobody_is_left_by_teardown(db): assert not User.objects.exists()
async def test_refused(refused): pass
def test_nobody_is_left_by_refused(db): assert not User.objects.exists()
async def test_committed(committed): pass
def test_nobody_is_left_by_committed(db): assert not User.objects.exists()
async def test_forgotten(forgotten): pass
def test_forgotten_too(db): User.objects.acreate(username="nina")


async def test_settings_of_child_tasks(settings):
    async def child():
        settings.LANGUAGE_CODE = "de"

    await asyncio.create_task(child())
    await asyncio.to_thread(setattr, settings, "TIME_ZONE", "Europe/Paris")
    assert django_settings.LANGUAGE_CODE == "de"


def test_settings_are_back():
    assert django_settings.LANGUAGE_CODE == "en-us"
    assert django_settings.TIME_ZONE == "UTC"
"""

SLOW = """
import pathlib
import time


def test_slow(db):
    pathlib.Path("has-begun").touch()
    time.sleep(60)
"""


SLOW_ON_THE_LOOP = """
import asyncio
import pathlib


async def test_slow(db):
    pathlib.Path("has-begun").touch()
    await asyncio.sleep(60)
"""


def test_who_has_not_asked_does_not_reach_a_database(
    tmp_path: Path, database_url: str | None
) -> None:
    folder = project(tmp_path, UNASKED)
    vinyl("migrate", "-v", "0", cwd=folder, database_url=database_url)
    printed = run(
        *("pytest", "-q", "tests/test_mixed.py"),
        cwd=folder,
        database_url=database_url,
        fails=True,
    )
    assert "3 failed, 3 passed, 1 error" in printed
    errors = re.findall("^E +RuntimeError: A test that has not asked", printed, re.M)
    assert len(errors) == 4
    count = "SELECT count(*) FROM auth_user"
    if database_url is None:
        with closing(sqlite3.connect(folder / "db.sqlite3")) as file:
            assert file.execute(count).fetchone() == (0,)
    else:
        with psycopg.connect(database_url) as connection:
            assert connection.execute(count).fetchone() == (0,)


def test_threads_and_loops_leave_nothing(
    tmp_path: Path, database_url: str | None
) -> None:
    folder = project(tmp_path, BESIDE)
    printed = run(
        *("pytest", "-q", "tests/test_mixed.py"), cwd=folder, database_url=database_url
    )
    assert passed(printed) == 7


def test_errors_in_fixtures_leave_nothing(
    tmp_path: Path, database_url: str | None
) -> None:
    folder = project(tmp_path, BROKEN)
    printed = run(
        *("pytest", "-q", "tests/test_mixed.py"),
        cwd=folder,
        database_url=database_url,
        fails=True,
    )
    # The tests whose fixtures fail after `yield` have passed before.
    assert "1 failed, 10 passed, 5 errors" in printed
    assert not re.search("(FAILED|ERROR) .*(nobody_is_left|settings)", printed)


@pytest.mark.parametrize(
    ("command", "source", "number", "code"),
    [
        (["vinyl", "test"], SLOW, signal.SIGTERM, 143),
        (["vinyl", "test"], SLOW, signal.SIGHUP, 129),
        (["vinyl", "test"], SLOW, signal.SIGINT, 2),
        (["pytest"], SLOW_ON_THE_LOOP, signal.SIGTERM, 143),
    ],
    ids=["SIGTERM", "SIGHUP", "SIGINT", "on the event loop"],
)
def test_ending_the_tests_removes_their_databases(
    tmp_path: Path,
    postgres_url: str,
    command: list[str],
    source: str,
    number: signal.Signals,
    code: int,
) -> None:
    folder = project(tmp_path, source)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = f"ended_{os.getpid()}"
        url = postgres_url.replace(f"/{connection.info.dbname}?", f"/{name}?")
        log = tmp_path / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command, "tests/test_mixed.py"],
                cwd=folder,
                env=environment(url),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_for((folder / "has-begun").exists, log)
        process.send_signal(number)
        assert process.wait(PATIENCE) == code, log.read_text()
        assert "KeyboardInterrupt" in log.read_text()
        found = "SELECT FROM pg_database WHERE datname = %s"
        assert not connection.execute(found, [f"test_{name}"]).fetchone()
