"""The queue of notes that one reader has not read."""

from __future__ import annotations

import asyncio

import pytest

from vinyl.orm.live.notes import Note, NoteQueue

pytestmark = pytest.mark.anyio


async def test_it_never_exceeds_its_limit() -> None:
    queue = NoteQueue(("a", "b"), limit=3)
    for number in range(100):
        queue.put(Note("a", f"{number}"))
        assert len(queue._notes) <= 3
    # The last gap, and what followed it.
    assert await queue.get() == Note("a", missed=True)
    assert await queue.get() == Note("b", missed=True)


async def test_an_error_comes_after_the_notes_and_stays() -> None:
    queue = NoteQueue(("a",), limit=3)
    reading = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put(Note("a"))
    queue.fail(LookupError())
    assert await reading == Note("a")
    for _ in range(2):
        with pytest.raises(LookupError):
            await queue.get()
