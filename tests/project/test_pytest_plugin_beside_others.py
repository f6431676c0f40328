"""The pytest plugin beside pytest-django, pytest-asyncio, and makers of objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.terminal import run
from tests.project.test_generated_tests import passed, project

# In a project with pytest-django, which clears the way to the database by its marks.
DJANGO = """
import asyncio

import pytest
from django.contrib.auth.models import User
from django.test import TestCase
from vinyl.orm import transaction


@pytest.fixture
async def user(db):
    yield await User.objects.create_user("nina")
    assert await User.objects.filter(username="nina").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("turn", range(2))
async def test_marked(turn):
    assert not await User.objects.exists()
    async with transaction.atomic():
        await asyncio.gather(User.objects.create_user("nina"), User.objects.acount())
    assert await User.objects.count() == 1


@pytest.mark.django_db
def test_plain():
    assert not User.objects.exists()
    User.objects.create_user("nina")


async def test_fixtures(user, vinyl_client, vinyl_admin_client, assert_num_queries):
    await vinyl_client.force_login(user)
    assert (await vinyl_client.get("/nowhere/")).status_code == 404
    with assert_num_queries(1):
        assert await User.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(2))
async def test_transactional(turn):
    assert not await User.objects.exists()
    await User.objects.create_user("nina")


class TestUsers(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("zoe")

    async def test_once(self):
        assert await User.objects.aget() == self.user
        await User.objects.create_user("nina")

    async def test_twice(self):
        await self.test_once()


def test_unmarked_is_refused():
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        User.objects.exists()


async def test_unmarked_is_refused_if_async():
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        await User.objects.exists()


@pytest.mark.django_db
def test_nobody_is_left():
    assert not User.objects.exists()
"""

ASYNCIO = """
import asyncio

import pytest
import pytest_asyncio
from django.contrib.auth.models import User


@pytest_asyncio.fixture
async def user(db):
    user = await User.objects.create_user("nina")
    yield user
    await user.refresh_from_db()


@pytest.mark.asyncio
@pytest.mark.parametrize("turn", range(2))
async def test_it(user, client, turn):
    await asyncio.gather(User.objects.create_user("abbey"), User.objects.acount())
    await client.force_login(user)
    assert "nina" in (await client.get("/")).text
    assert await User.objects.count() == 2


@pytest.mark.asyncio
async def test_admin(admin_client):
    assert "admin" in (await admin_client.get("/")).text


def test_nobody_is_left(db):
    assert not User.objects.exists()
"""

MAKERS = """
import factory
import pytest
from django.contrib.auth.models import Group, User
from model_bakery import baker
from vinyl.orm import run


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")

    @factory.post_generation
    def groups(self, create, names, **kwargs):
        for name in names or ():
            self.groups.add(Group.objects.create(name=name))


@pytest.fixture
def made(db):
    return UserFactory.create(groups=["singers"])


async def test_a_plain_fixture_makes_it(made):
    assert [group.name for group in await made.groups.all()] == ["singers"]


async def test_run_makes_it(db):
    users = await run(UserFactory.create_batch, 2, groups=[])
    assert await User.objects.count() == 2
    assert users[0].email == f"{users[0].username}@example.com"
    permission = await run(baker.make, "auth.Permission")
    assert permission.content_type.pk


async def test_building_needs_nothing(db):
    user = UserFactory.build()
    await user.save()
    await baker.prepare(User).save()
    assert await User.objects.count() == 2


def test_nobody_is_left(db):
    assert not User.objects.exists()
"""


def with_options(folder: Path, before: str, after: str) -> Path:
    file = folder / "pyproject.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    return folder


def test_pytest_django(tmp_path: Path, database_url: str | None) -> None:
    pytest.importorskip("pytest_django")
    processes = "0" if database_url is None else "2"
    folder = with_options(project(tmp_path, DJANGO), ', "-p", "no:django"', "")
    printed = run(
        *("pytest", "-q", "-n", processes, "tests/test_mixed.py"),
        *("-o", "django_debug_mode=true"),
        cwd=folder,
        database_url=database_url,
    )
    assert passed(printed) == 11


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio(tmp_path: Path, mode: str) -> None:
    pytest.importorskip("pytest_asyncio")
    before = 'anyio_mode = "auto"'
    folder = with_options(
        project(tmp_path, ASYNCIO), before, f'asyncio_mode = "{mode}"'
    )
    printed = run("pytest", "-q", "tests/test_mixed.py", cwd=folder)
    assert passed(printed) == 4


def test_makers_of_objects(tmp_path: Path, database_url: str | None) -> None:
    pytest.importorskip("factory")
    pytest.importorskip("model_bakery")
    folder = project(tmp_path, MAKERS)
    printed = run("pytest", "-q", cwd=folder, database_url=database_url)
    assert passed(printed) == 4 + 2
