"""
Blocks in blocks, in tasks, in the bridge, in any shape: against a model of what must be
there afterwards.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@dataclass
class Write:
    """Writes a row, and has a hook run if that is committed."""

    name: str = ""


@dataclass
class Read:
    """Sees what has been written around it and not undone, or fails."""


@dataclass
class Block:
    """`atomic()` around some steps, left by an error or not."""

    steps: list[Any]
    fails: bool


@dataclass
class Together:
    """Several lists of steps at the same time, each in a task."""

    branches: list[list[Any]]


@dataclass
class InBridge:
    """Some steps as sync code in one run of the bridge."""

    steps: list[Any]


@dataclass
class InCursor:
    """Some steps in a block that holds a connection without a transaction."""

    steps: list[Any]


class Undone(Exception):
    """Leaves a block."""


def nodes(steps: st.SearchStrategy) -> st.SearchStrategy:
    some = st.lists(steps, min_size=1, max_size=4)
    return st.one_of(
        st.builds(Block, some, st.booleans()),
        st.builds(Together, st.lists(some, min_size=2, max_size=3)),
        st.builds(InBridge, some),
        st.builds(InCursor, some),
    )


leaves = st.one_of(st.builds(Write), st.builds(Read))
programs = st.lists(st.recursive(leaves, nodes, max_leaves=14), min_size=1, max_size=4)


def written(steps: list[Any]) -> Iterator[str]:
    """The model: the names of the rows that are there when *steps* are over."""
    for step in steps:
        match step:
            case Write(name):
                yield name
            case Block(inner, fails):
                yield from () if fails else written(inner)
            case InBridge(inner) | InCursor(inner):
                yield from written(inner)
            case Together(branches):
                for branch in branches:
                    yield from written(branch)


@dataclass
class Run:
    """One execution of a program."""

    hooked: list[str] = field(default_factory=list)

    async def steps(self, steps: list[Any]) -> None:
        mine: list[str] = []
        for step in steps:
            await self.step(step, mine)
            mine += written([step])

    async def step(self, step: Any, mine: list[str]) -> None:
        match step:
            case Write(name):
                await Artist.objects.create(name=name)
                await transaction.on_commit(lambda: self.hooked.append(name))
            case Read():
                found = await Artist.objects.values_list("name", flat=True)
                assert set(mine) <= set(found)
            case Block(inner, fails):
                try:
                    async with transaction.atomic():
                        await self.steps(inner)
                        if fails:
                            raise Undone
                except Undone:
                    pass
            case Together(branches):
                async with asyncio.TaskGroup() as group:
                    for branch in branches:
                        group.create_task(self.steps(branch))
            case InBridge(inner):
                await run(self.sync_steps, inner)
            case InCursor(inner):
                async with connection.cursor() as cursor:
                    await cursor.execute("SELECT 1")
                    await self.steps(inner)

    def sync_steps(self, steps: list[Any]) -> None:
        mine: list[str] = []
        for step in steps:
            self.sync_step(step, mine)
            mine += written([step])

    def sync_step(self, step: Any, mine: list[str]) -> None:
        match step:
            case Write(name):
                Artist.objects.create(name=name)
                transaction.on_commit(lambda: self.hooked.append(name))
            case Read():
                found = Artist.objects.values_list("name", flat=True)
                assert set(mine) <= set(found)
            case Block(inner, fails):
                try:
                    with transaction.atomic():
                        self.sync_steps(inner)
                        if fails:
                            raise Undone
                except Undone:
                    pass
            case Together(branches):
                for branch in branches:
                    self.sync_steps(branch)
            case InBridge(inner) | InCursor(inner):
                self.sync_steps(inner)


def numbered(steps: list[Any], numbers: Iterator[int]) -> list[Any]:
    """*steps*, with a name of its own in each `Write`."""
    result: list[Any] = []
    for step in steps:
        match step:
            case Write():
                result.append(Write(f"row {next(numbers)}"))
            case Block(inner, fails):
                result.append(Block(numbered(inner, numbers), fails))
            case Together(branches):
                result.append(Together([numbered(b, numbers) for b in branches]))
            case InBridge(inner):
                result.append(InBridge(numbered(inner, numbers)))
            case InCursor(inner):
                result.append(InCursor(numbered(inner, numbers)))
            case _:
                result.append(step)
    return result


examples = settings(max_examples=60)


async def check(program: list[Any]) -> None:
    program = numbered(program, count())
    await Artist.objects.all().delete()
    attempt = Run()
    async with asyncio.timeout(20):
        await attempt.steps(program)
    expected = sorted(written(program))
    found = await Artist.objects.values_list("name", flat=True)
    assert sorted(found) == expected
    assert sorted(attempt.hooked) == expected
    assert pool_for("default").in_use == {}


@examples
@given(program=programs)
async def test_as_the_model_says(db: str, program: list[Any]) -> None:
    await check(program)


@examples
@given(program=programs, fails=st.booleans())
async def test_inside_one_transaction(db: str, program: list[Any], fails: bool) -> None:
    await check([Block(program, fails)])


@examples
@given(program=programs)
def test_in_sync_mode(db: str, program: list[Any]) -> None:
    """The model is Django's own behaviour."""
    program = numbered(program, count())
    Artist.objects.all().delete()
    attempt = Run()
    attempt.sync_steps(program)
    expected = sorted(written(program))
    assert sorted(Artist.objects.values_list("name", flat=True)) == expected
    assert sorted(attempt.hooked) == expected
    connections["default"].close()
