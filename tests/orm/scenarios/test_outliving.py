"""
Tasks that outlive the blocks they were started in, nest, wait and are cancelled, beside
strangers on a small pool: against a model of what must be there afterwards.

What a task does in a block happens while the block is open, in its transaction and its
savepoint, or raises ScopeClosedError. A block's own hook of on_commit() tells whether
the block counts.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connections
from django.db.transaction import TransactionManagementError
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.records.models import Artist
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio]


@dataclass(frozen=True)
class Write:
    """Writes a row, by the call itself or in a run."""

    in_run: bool


@dataclass(frozen=True)
class Pause:
    """Lets others run."""

    turns: int


@dataclass(frozen=True)
class Block:
    """`atomic()` around some steps, left by an error or not."""

    steps: list[Any]
    fails: bool


@dataclass(frozen=True)
class InCursor:
    """Some steps in a block that holds a connection without a transaction."""

    steps: list[Any]


@dataclass(frozen=True)
class InBridge:
    """Some steps as sync code in one run of the bridge."""

    steps: list[Any]


@dataclass(frozen=True)
class Start:
    """Some steps in a task of their own, which nobody awaits before the end of all."""

    steps: list[Any]
    # After how many turns of the loop it is cancelled; None: never.
    cancelled_after: int | None


def nodes(steps: st.SearchStrategy) -> st.SearchStrategy:
    some = st.lists(steps, min_size=1, max_size=4)
    return st.one_of(
        st.builds(Block, some, st.booleans()),
        st.builds(InCursor, some),
        st.builds(InBridge, some),
        st.builds(Start, some, st.none() | st.integers(0, 30)),
    )


leaves = st.one_of(st.builds(Write, st.booleans()), st.builds(Pause, st.integers(1, 8)))
tasks = st.lists(
    st.builds(
        Start,
        st.lists(st.recursive(leaves, nodes, max_leaves=12), min_size=1, max_size=4),
        st.none() | st.integers(0, 60),
    ),
    min_size=1,
    max_size=4,
)


class Undone(Exception):
    """Leaves a block."""


class Open:
    """
    A block of the program while it runs.

    Args:
        around: The block that it is in.
        atomic: Whether it is `atomic()`.
    """

    def __init__(self, around: Place, *, atomic: bool) -> None:
        self.around = block_of(around)
        self.atomic = atomic
        self.left = False
        # Whether its hook has run.
        self.committed = False
        self.wrapper = connections["default"]
        self.savepoints = list(self.wrapper.savepoint_ids)

    def counts(self) -> bool:
        """Whether what was written in it is there."""
        return self.committed if self.atomic else counts(self.around)

    def check(self) -> None:
        """Called by what happens inside, in the bridge."""
        assert not self.left, "This happened after the block."
        assert connections["default"] is self.wrapper, "This is not its connection."
        own = len(self.savepoints)
        assert self.wrapper.savepoint_ids[:own] == self.savepoints


def counts(block: Open | None) -> bool:
    return block is None or block.counts()


@dataclass
class InRun:
    """
    Where a task is that sync code has started outside of its blocks: it takes part in
    the one that the code is in just now.
    """

    blocks: list[Open]
    around: Place

    def block(self) -> Open | None:
        return self.blocks[-1] if self.blocks else block_of(self.around)


Place = Open | InRun | None


def block_of(place: Place) -> Open | None:
    return place.block() if isinstance(place, InRun) else place


@dataclass
class Attempt:
    """One execution of a program."""

    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    # The rows that were written, and those of which a cancellation leaves it open, each
    # with the block it belongs to.
    written: dict[str, Open | None] = field(default_factory=dict)
    unsure: dict[str, Place] = field(default_factory=dict)
    refused: int = 0
    number: int = 0

    def name(self) -> str:
        self.number += 1
        return f"row {self.number}"

    def start(self, step: Start, place: Place) -> None:
        task = asyncio.create_task(self.steps(step.steps, place))
        self.tasks.append(task)
        if step.cancelled_after is not None:
            loop = asyncio.get_running_loop()

            def count(left: int) -> None:
                if left:
                    loop.call_soon(count, left - 1)
                else:
                    task.cancel()

            count(step.cancelled_after)

    async def steps(self, steps: list[Any], place: Place) -> None:
        for step in steps:
            try:
                await self.step(step, place)
            except ScopeClosedError:
                assert place is not None
                self.refused += 1
            except TransactionManagementError as error:
                # A query of the transaction was cancelled, and nothing follows in it.
                if not re.search("was cancelled|can't execute queries", str(error)):
                    raise

    async def step(self, step: Any, place: Place) -> None:
        with ExitStack() as left:
            await self.inner_step(step, place, left)

    async def inner_step(self, step: Any, place: Place, left: ExitStack) -> None:
        match step:
            case Write(in_run):
                name = self.name()
                self.unsure[name] = place
                if in_run:
                    await run(self.write, name, place)
                else:
                    await Artist.objects.create(name=name)
                    self.written[name] = block_of(place)
            case Pause(turns):
                for _ in range(turns):
                    await asyncio.sleep(0)
            case Block(inner, fails):
                with suppress(Undone):
                    async with transaction.atomic():
                        opened = await run(Open, place, atomic=True)
                        left.callback(setattr, opened, "left", True)
                        self.note_commit(opened)
                        await self.steps(inner, opened)
                        if fails:
                            raise Undone
            case InCursor(inner):
                async with connection.cursor():
                    opened = await run(Open, place, atomic=False)
                    left.callback(setattr, opened, "left", True)
                    await self.steps(inner, opened)
            case InBridge(inner):
                await run(self.run_steps, inner, place)
            case Start():
                self.start(step, place)

    def note_commit(self, block: Open) -> None:
        transaction.on_commit(lambda: setattr(block, "committed", True))

    def write(self, name: str, place: Place) -> None:
        self.unsure[name] = place
        if place is not None:
            # Raises where the block has ended.
            _ = connections["default"]
            if (block := block_of(place)) is not None:
                block.check()
        Artist.objects.create(name=name)
        self.written[name] = block_of(place)

    def run_steps(self, steps: list[Any], place: Place) -> None:
        # What is started in a run before that has used the database is not part of it.
        _ = connections["default"]
        self.sync_steps(steps, place, InRun([], place))

    def sync_steps(self, steps: list[Any], place: Place, here: InRun) -> None:
        for step in steps:
            match step:
                case Write():
                    self.write(self.name(), place)
                case Block(inner, fails):
                    with ExitStack() as left, suppress(Undone), transaction.atomic():
                        opened = Open(place, atomic=True)
                        here.blocks.append(opened)
                        left.callback(here.blocks.remove, opened)
                        left.callback(setattr, opened, "left", True)
                        self.note_commit(opened)
                        self.sync_steps(inner, opened, here)
                        if fails:
                            raise Undone
                case Pause() | InCursor():
                    # What is awaited here takes part in what the run holds.
                    await_(self.step(step, place))
                case InBridge(inner):
                    self.sync_steps(inner, place, here)
                case Start():
                    self.start(step, place if here.blocks else here)

    def rows(self) -> tuple[set[str], set[str]]:
        """The model: the rows that must be there, and those that may be."""
        return (
            {name for name, block in self.written.items() if counts(block)},
            {
                name
                for name, place in self.unsure.items()
                if isinstance(place, InRun) or counts(place)
            },
        )


@pytest.fixture
def small_pool(db: str) -> Iterator[None]:
    options = connections.settings["default"]["OPTIONS"]
    options["pool"] = {"max_size": 3}
    yield
    del options["pool"]


@settings(max_examples=int(os.environ.get("VINYL_FUZZ_EXAMPLES", "60")))
@given(program=tasks)
async def test_in_the_block_or_refused(small_pool: None, program: list[Start]) -> None:
    await Artist.objects.all().delete()
    attempt = Attempt()
    async with asyncio.timeout(20):
        for step in program:
            attempt.start(step, None)
        outcomes = []
        # Those that run start others.
        while len(outcomes) < len(attempt.tasks):
            task = attempt.tasks[len(outcomes)]
            outcomes += await asyncio.gather(task, return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
    assert pool_for("default").in_use == {}
    must, may = attempt.rows()
    found = set(await Artist.objects.values_list("name", flat=True))
    assert must <= found <= may
    event(f"refused: {min(attempt.refused, 3)}")
    event(f"unsure: {min(len(may - must), 3)}")
