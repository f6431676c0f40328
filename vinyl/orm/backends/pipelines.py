"""
Reads of several tasks that share a connection, sent together in one round trip.

A task that waits for the lock on the connection with a `Read` is served in one of two
ways: it gets the lock, or the task that has the lock takes the read into a `Pipeline`.
The pipeline runs in a task of its own, which has the lock until its end. A read that it
could not answer is put back at the head of the queue, and its task runs it alone. The
queue for the connections of a pool works alike (vinyl.orm.plans.queued_reads).

A task that is cancelled leaves its read in the pipeline, which runs undisturbed for the
others. The server is asked to cancel it only when no task waits for it any longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vinyl.bridge.cancellation import outlast

if TYPE_CHECKING:
    from vinyl.orm.backends.statements import Statement

__all__ = ["Pipeline", "Read", "Replies"]

# How long the reads of cancelled tasks may take when all others have their replies, in
# seconds. Then they are cancelled, and with them the transaction.
ABANDONED_TIMEOUT = 1.0


class Read(asyncio.Future[Any]):
    """
    A statement that only reads, whose task shares the connection with others.

    The result is True if the task has been given the lock, and has to run the statement
    itself; a connection, if the pool has given it one; None if it has to look for the
    connection again; otherwise the rows.

    Args:
        statement: The statement.
        params: Its parameters.
    """

    def __init__(self, statement: Statement, params: tuple[Any, ...]) -> None:
        super().__init__()
        self.statement = statement
        self.params = params
        # The pipeline that the read is in, or None.
        self.pipeline: Pipeline | None = None


class Replies(Protocol):
    """Where a backend puts the replies to the reads of a pipeline."""

    def reply(
        self, read: Read, rows: list[Any] | None, error: Exception | None = None
    ) -> None:
        """
        Keep the rows of *read*, or its error, until `deliver()`. Never switches.
        """

    def deliver(self) -> None:
        """
        Give the tasks the replies that have arrived. To be called before waiting for
        more of them. Never switches.
        """


class _Lock(Protocol):
    """The lock on a connection."""

    closed: bool

    def put_back(self, reads: Sequence[Read]) -> None:
        """Release the lock, and put *reads* at the head of the queue for it."""

    def runs_again(self, error: Exception) -> bool:
        """
        Whether the connection was lost with *error*, so that the reads without a reply
        are to be put back instead of failing. Never switches.
        """


class Pipeline:
    """
    Reads that are sent together, and the task that sends them.

    Args:
        wrapper: Django's connection.
        lock: The lock on it, which the caller has. The pipeline releases it.
        reads: The reads, in the order in which their tasks asked.
        syncs_once: As for `fetch_together_on_loop()`.
    """

    __slots__ = (
        "_has_begun",
        "_lock",
        "_reads",
        "_replies",
        "_syncs_once",
        "_task",
        "_wrapper",
    )

    def __init__(
        self,
        wrapper: Any,
        lock: _Lock,
        reads: list[Read],
        syncs_once: bool = False,
    ) -> None:
        self._wrapper = wrapper
        self._lock = lock
        self._syncs_once = syncs_once
        # Those to which no reply has arrived. Those of cancelled tasks are done.
        self._reads = reads
        # The replies that have not been delivered.
        self._replies: list[tuple[Read, list[Any] | None, Exception | None]] = []
        self._has_begun = False
        for read in reads:
            read.pipeline = self
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._end_if_not_begun)

    async def _run(self) -> None:
        self._has_begun = True
        # Nothing has been sent for those of tasks cancelled since.
        self._reads = [read for read in self._reads if not read.done()]
        try:
            # The connection of a block that has ended may be another block's.
            if self._reads and not self._lock.closed:
                await self._wrapper.fetch_together_on_loop(
                    [*self._reads], self, self._syncs_once
                )
        except asyncio.CancelledError:
            self._wrapper.note_interruption()
            for read in self._reads:
                read.cancel()
            raise
        except Exception as error:
            # The connection is lost. The others find it so by themselves.
            if self._reads:
                self.reply(self._reads[0], None, error)
        finally:
            self._end()

    def _end(self) -> None:
        unanswered = [read for read in self._reads if not read.done()]
        for read in unanswered:
            read.pipeline = None
        # In this order, so that further reads of these tasks are in the queue when the
        # task that gets the lock looks for them.
        self.deliver()
        self._lock.put_back(unanswered)

    def _end_if_not_begun(self, task: asyncio.Task[None]) -> None:
        """Release the lock if *task* was cancelled before its first step."""
        if not self._has_begun:
            for read in self._reads:
                read.cancel()
            self._lock.put_back(())

    def reply(
        self, read: Read, rows: list[Any] | None, error: Exception | None = None
    ) -> None:
        if error is not None and self._lock.runs_again(error):
            return
        self._reads.remove(read)
        self._replies.append((read, rows, error))

    def deliver(self) -> None:
        if not self._replies:
            return
        replies, self._replies = self._replies, []
        for read, rows, error in replies:
            if read.done():
                if error is not None:
                    # Nobody else would learn that the transaction is broken.
                    self._wrapper.note_interruption()
            elif error is not None:
                read.set_exception(error)
            else:
                read.set_result(rows)
        if self._reads and not self._is_awaited():
            loop = asyncio.get_running_loop()
            loop.call_later(ABANDONED_TIMEOUT, self._interrupt)

    def _is_awaited(self) -> bool:
        return any(not read.done() for read in self._reads)

    def _interrupt(self) -> None:
        # With all replies there is nothing to interrupt.
        if self._has_begun and self._reads:
            self._task.cancel()

    async def leave(self, read: Read, error: BaseException) -> None:
        """
        End the wait for *read* with *error*. If no task waits for the pipeline any
        longer, it is cancelled in the server; then the connection is idle or closed
        afterwards, as after any other cancelled query.

        Switches to the event loop.
        """
        read.cancel()
        if not read.cancelled():
            # Its reply has arrived, but its task has been cancelled since.
            if read.exception() is not None and not isinstance(error, Exception):
                self._wrapper.note_interruption()
            return
        if self._task.done() or self._is_awaited():
            return
        self._interrupt()
        if not isinstance(error, GeneratorExit):
            await outlast(asyncio.wait([self._task]))
