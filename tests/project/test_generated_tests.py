"""The tests of a new project: plain and async ones together, and in parallel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.terminal import new_project, run, vinyl

MIXED = """
import pytest
from django.contrib.auth.models import User
from django.db import transaction as sync_transaction
from vinyl.orm import transaction


@pytest.fixture
async def user(db):
    return await User.objects.create_user("nina")


def test_plain(db):
    User.objects.create_user("nina")
    with sync_transaction.atomic():
        User.objects.create_user("abbey")
    assert User.objects.count() == 2


async def test_async(db):
    await User.objects.create_user("nina")
    async with transaction.atomic():
        await User.objects.create_user("abbey")
    assert await User.objects.count() == 2


def test_a_plain_test_sees_what_an_async_fixture_wrote(user):
    assert User.objects.get() == user
    user.email = "nina@example.org"
    user.save()


async def test_an_async_test_and_the_client_see_it(user, client):
    await client.force_login(user)
    page = await client.get("/")
    assert "nina" in page.text
    assert await User.objects.aget() == user


def test_without_a_database():
    pass


@pytest.mark.parametrize("turn", range(3))
def test_nothing_is_left_for_a_plain_test(db, turn):
    assert not User.objects.exists()
    User.objects.create_user("nina")


@pytest.mark.parametrize("turn", range(3))
async def test_nothing_is_left_for_an_async_test(db, turn):
    assert not await User.objects.exists()
    await User.objects.create_user("nina")
"""

HASHES = """
from django.contrib.auth.models import User
from django.conf import settings


async def test_passwords_are_hashed_fast(db):
    user = await User.objects.create_user("nina", password="sinnerman-1965")
    assert user.password.startswith("md5$")
    assert await user.check_password("sinnerman-1965")


def test_the_settings_are_back_outside():
    assert settings.PASSWORD_HASHERS
"""


def project(folder: Path, tests: str) -> Path:
    new_project(folder)
    (folder / "mysite" / "tests" / "test_mixed.py").write_text(tests)
    return folder / "mysite"


def passed(printed: str) -> int:
    assert not re.search(r"failed|error", printed), printed
    found = re.search(r"(\d+) passed", printed)
    assert found, printed
    return int(found[1])


@pytest.mark.parametrize("order", ["as written", "backwards"])
def test_plain_and_async_tests_mix(
    tmp_path: Path, database_url: str | None, order: str
) -> None:
    folder = project(tmp_path, MIXED)
    if order == "backwards":
        (folder / "conftest.py").write_text(
            "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
        )
    printed = run("pytest", "-q", "-W", "error", cwd=folder, database_url=database_url)
    # Two are the template's own.
    assert passed(printed) == 11 + 2


def test_they_run_in_several_processes(
    tmp_path: Path, database_url: str | None
) -> None:
    folder = project(tmp_path, MIXED)
    printed = run("pytest", "-q", "-n", "2", cwd=folder, database_url=database_url)
    assert passed(printed) == 11 + 2


def test_pytest_django_may_be_installed(tmp_path: Path) -> None:
    pytest.importorskip("pytest_django")
    folder = project(tmp_path, MIXED)
    assert passed(run("pytest", "-q", cwd=folder)) == 11 + 2


def test_the_conftest_of_a_project_may_import_its_models(tmp_path: Path) -> None:
    folder = project(tmp_path, MIXED)
    (folder / "conftest.py").write_text("from django.contrib.auth.models import User\n")
    assert passed(run("pytest", "-q", cwd=folder)) == 11 + 2


def test_passwords_are_hashed_fast(tmp_path: Path) -> None:
    assert passed(run("pytest", "-q", cwd=project(tmp_path, HASHES))) == 2 + 2


def test_hashers_that_a_project_has_chosen_stay(tmp_path: Path) -> None:
    folder = project(tmp_path, HASHES.replace("md5$", "pbkdf2_sha1$"))
    settings = folder / "mysite" / "settings.py"
    hasher = "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher"
    settings.write_text(f"{settings.read_text()}\nPASSWORD_HASHERS = [{hasher!r}]\n")
    assert passed(run("pytest", "-q", cwd=folder)) == 2 + 2


def test_the_test_command_says_where_it_finds_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path, MIXED)
    printed = vinyl("test", "--django", cwd=folder, fails=True)
    assert "No test was run" in printed
    assert "pytest" in printed


def test_the_test_command_runs_test_cases(
    tmp_path: Path, database_url: str | None
) -> None:
    case = (
        "from django.test import TestCase\n"
        "from django.contrib.auth.models import User\n\n\n"
        "class Users(TestCase):\n"
        "    def test_nobody_is_there(self):\n"
        "        self.assertEqual(User.objects.count(), 0)\n"
    )
    folder = project(tmp_path, case)
    (folder / "tests" / "__init__.py").touch()
    printed = vinyl(
        "test", "--django", "--noinput", cwd=folder, database_url=database_url
    )
    assert "Ran 1 test" in printed


def test_the_readme_names_commands_that_every_pip_has(tmp_path: Path) -> None:
    readme = (project(tmp_path, MIXED) / "README.md").read_text()
    assert "pip install httpx pytest" in readme
    assert "--group" not in readme
