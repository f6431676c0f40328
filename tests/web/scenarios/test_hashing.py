"""Hashing a password takes long: a thread does it, and the event loop goes on."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, dict-item, func-returns-value, misc, return-value"

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import include

from tests.web.serving import serving
from tests.web.users import AUTH, NINA, VIEWS
from vinyl.orm import run
from vinyl.web import path
from vinyl.web.auth import authenticate

pytestmark = pytest.mark.anyio

CHANGED = "pbkdf2_changed"


class Gate:
    """Holds each hash until the event loop has shown that it is running."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.threads: list[threading.Thread] = []

    def wait(self) -> None:
        self.threads.append(threading.current_thread())
        self.entered.set()
        # On the loop's own thread nobody could open it.
        assert threading.current_thread() is not threading.main_thread()
        assert self.opened.wait(20)


gate = Gate()


class SlowHasher(hashers.PBKDF2PasswordHasher):
    algorithm = "pbkdf2_slow"
    iterations = 10

    def encode(self, *args: Any, **kwargs: Any) -> str:
        gate.wait()
        return super().encode(*args, **kwargs)


class ChangedHasher(hashers.PBKDF2PasswordHasher):
    algorithm = CHANGED
    iterations = 10


SLOW = [f"{__name__}.SlowHasher"]


@pytest.fixture
def gated() -> Iterator[Gate]:
    global gate
    gate = Gate()
    yield gate
    gate.opened.set()


async def while_ticking(gate: Gate, work: Callable[[], Awaitable[Any]]) -> Any:
    """What *work* returns; its hashes end only after the loop has made turns."""
    task = asyncio.ensure_future(work())
    while not gate.entered.is_set():
        assert not task.done(), task
        await asyncio.sleep(0)
    ticks = 0
    for _ in range(100):
        await asyncio.sleep(0)
        ticks += 1
    assert not task.done()
    gate.opened.set()
    result = await task
    assert ticks == 100
    return result


@pytest.fixture
async def nina(db: Any) -> User:
    with override_settings(PASSWORD_HASHERS=[f"{__name__}.ChangedHasher"]):
        return await User.objects.create_user(**NINA)


@pytest.mark.parametrize("url", ["/enter/", "/enter/plain/", "/accounts/login/"])
@pytest.mark.parametrize("name", ["nina", "nobody"])
async def test_logging_in(db: Any, gated: Gate, url: str, name: str) -> None:
    """Also for a name that nobody has: how long it takes tells a stranger nothing."""
    gated.opened.set()
    with override_settings(PASSWORD_HASHERS=SLOW):
        await User.objects.create_user(**NINA)
        gated.__init__()
        urls = *VIEWS, path("accounts/", include("django.contrib.auth.urls"))
        async with serving(*urls, **AUTH, PASSWORD_HASHERS=SLOW) as page:
            data = NINA | {"username": name}
            response = await while_ticking(gated, lambda: page.post(url, data=data))
    right = name == "nina"
    refused = 200 if url == "/accounts/login/" else 403
    entered = 302 if url == "/accounts/login/" else 200
    assert response.status_code == (entered if right else refused)


CALLS: dict[str, Callable[[User], Awaitable[Any]]] = {
    "authenticate": lambda user: authenticate(**NINA),
    "check_password": lambda user: user.check_password(NINA["password"]),
    "acheck_password": lambda user: user.acheck_password(NINA["password"]),
    "set_password in the bridge": lambda user: run(user.set_password, "x"),
    "make_password in the bridge": lambda user: run(hashers.make_password, "x"),
    "create_user": lambda user: User.objects.create_user("bud", password="x"),
    "acreate_user": lambda user: User.objects.acreate_user("bud", password="x"),
    "hashers.acheck_password": lambda user: hashers.acheck_password(
        NINA["password"], user.password
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_what_hashes(db: Any, gated: Gate, call: Any) -> None:
    gated.opened.set()
    with override_settings(PASSWORD_HASHERS=SLOW):
        user = await User.objects.create_user(**NINA)
        gated.__init__()
        await while_ticking(gated, lambda: call(user))


async def test_a_hash_is_brought_up_to_date_at_login(nina: User) -> None:
    assert nina.password.startswith(CHANGED)
    settings = {
        "PASSWORD_HASHERS": [
            "django.contrib.auth.hashers.MD5PasswordHasher",
            f"{__name__}.ChangedHasher",
        ]
    }
    async with serving(*VIEWS, **AUTH, **settings) as page:
        assert (await page.post("/enter/", data=NINA)).text == "welcome"
        await nina.refresh_from_db()
        assert nina.password.startswith("md5$")
        # The session belongs to the new hash.
        assert (await page.get("/who/")).text == "nina"


def test_in_sync_mode_no_thread_is_used(gated: Gate) -> None:
    threads = []

    class Noting(hashers.PBKDF2PasswordHasher):
        iterations = 1

        def encode(self, *args: Any, **kwargs: Any) -> str:
            threads.append(threading.current_thread())
            return super().encode(*args, **kwargs)

    Noting().encode("password", "salt")
    assert threads == [threading.current_thread()]
