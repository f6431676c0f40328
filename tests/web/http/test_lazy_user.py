"""A user who is fetched on first use, in each of the ways to use one."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace
from typing import Any

import pytest

from vinyl.exceptions import NotFetchedError
from vinyl.orm import run
from vinyl.web.http.lazy_user import LazyUser

pytestmark = pytest.mark.anyio


class Fetch:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        return SimpleNamespace(name="Nina")


async def test_awaited_by_several_tasks_it_is_fetched_once() -> None:
    fetch = Fetch()
    user: Any = LazyUser(fetch)
    first, second = await asyncio.gather(user, user)
    assert first is second
    assert (await user).name == user.name == "Nina"
    assert fetch.calls == 1


async def test_on_the_loop_it_has_to_be_awaited() -> None:
    user: Any = LazyUser(Fetch())
    assert repr(user) == "<NotFetched request.user>"
    for use in (lambda: user.name, lambda: bool(user), lambda: copy.copy(user)):
        with pytest.raises(NotFetchedError, match=r"await request\.user"):
            use()


async def test_in_the_bridge_it_is_used_as_it_is() -> None:
    user: Any = LazyUser(Fetch())
    assert await run(lambda: user.name) == "Nina"


def test_without_a_loop_it_is_used_as_it_is() -> None:
    async def make() -> Any:
        return LazyUser(Fetch())

    assert asyncio.run(make()).name == "Nina"


async def test_a_user_who_is_known_can_be_awaited_as_well() -> None:
    known = SimpleNamespace(name="Nina")
    user = LazyUser.of(known)
    assert user.name == "Nina"
    assert await user is known
    assert LazyUser.of(user) is user
