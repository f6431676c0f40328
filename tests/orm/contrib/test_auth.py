"""The plain and the async name of a method; tests/web/test_auth.py has the rest."""

from __future__ import annotations

import pytest

from vinyl.orm import run
from vinyl.orm.contrib.auth import _is_plain_overridden, twins

pytestmark = pytest.mark.anyio


class Base:
    def may(self) -> str:
        return "plain"

    async def amay(self) -> str:
        return "async"


class PlainOverridden(Base):
    def may(self) -> str:
        return "own"


class AsyncOverridden(Base):
    async def amay(self) -> str:
        return "own"


class BothOverridden(PlainOverridden):
    async def amay(self) -> str:
        return "own async"


@pytest.mark.parametrize(
    ("cls", "is_overridden"),
    [
        (Base, False),
        (PlainOverridden, True),
        (AsyncOverridden, False),
        (BothOverridden, False),
    ],
)
def test_only_a_plain_method_that_stands_alone_counts_as_overridden(
    cls: type[Base], is_overridden: bool
) -> None:
    assert _is_plain_overridden(cls(), "may", "amay") is is_overridden


async def test_an_async_method_calls_its_twin_in_the_bridge() -> None:
    patched = twins(_is_plain_overridden)(Base.amay)
    assert await patched(Base()) == "async"
    assert await patched(PlainOverridden()) == "own"


async def test_a_plain_method_calls_its_twin_only_in_the_bridge() -> None:
    patched = twins(lambda obj, plain, asynchronous: True)(Base.may)
    assert patched(AsyncOverridden()) == "plain"
    assert await run(patched, AsyncOverridden()) == "own"
