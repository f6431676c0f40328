"""Leases: a connection as one scope holds it, and who uses it inside."""

from __future__ import annotations

from typing import Any, cast

from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.pools.pool import Pool
from vinyl.orm.scopes.lock import ConnectionLock

__all__ = ["Lease"]


class Lease:
    """
    A connection as one scope holds it, with the lock that the scope's tasks share.

    Args:
        source: Where the connection comes from and goes back to; None for one that the
            user put here.
        lock: Locked from the start, if the code of the scope uses the connection
            itself.
    """

    __slots__ = ("borrower", "inner", "lock", "source", "streams", "wrapper")

    def __init__(
        self,
        wrapper: BaseDatabaseWrapper,
        source: Lease | Pool | None,
        lock: ConnectionLock,
    ) -> None:
        self.wrapper = wrapper
        self.source = source
        self.lock = lock
        # The lease of the scope inside that has the lock, if one has it.
        self.borrower: Lease | None = None
        # Of a run: the lease of the sync atomic() that its code is in, if it is in one.
        self.inner: Lease | None = None
        # What reads from the connection piecemeal, and ends with the block.
        self.streams: set[Any] = set()
        if type(source) is Lease:
            source.borrower = self

    def innermost(self) -> Lease:
        """Return this lease, or the one inside that has the lock. Never switches."""
        lease = self
        while lease.borrower is not None:
            lease = lease.borrower
        return lease

    def end_streams(self) -> None:
        """
        Close the cursors of the open streams, because the connection is used further.

        To be called in the bridge. Switches to the event loop.
        """
        while self.streams:
            self.streams.pop().end()

    def end(self) -> None:
        """
        Close the lock of this lease, and those of the leases inside that the end of the
        scope did not wait for: nobody uses the connection through them after this.
        Never switches.
        """
        self.lock.close()
        if self.borrower is not None:
            self.borrower.end()
        if type(self.source) is Lease:
            self.source.borrower = None

    def release(self) -> None:
        """End the lease and return the connection to its source. Never switches."""
        self.end()
        match self.source:
            case Lease() as source:
                # What a run has begun to stream goes on as long as its block.
                source.streams |= self.streams
                source.lock.release()
            case Pool() as pool:
                wrapper = cast(BridgeMixin, self.wrapper)
                for stream in self.streams:
                    stream.ended = True
                if self.streams and not pool.in_memory:
                    # Closing their cursors would be a wait.
                    wrapper.discard()
                pool.release(wrapper)
