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
        source: The pool or lease that the connection is returned to; None if the user
            assigned it.
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
        # The lease of the inner scope that has the lock, or None.
        self.borrower: Lease | None = None
        # In a run: the lease of the innermost sync atomic() block, or None.
        self.inner: Lease | None = None
        # Streams that read from the connection in chunks and end with the block.
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
        Close the cursors of the open streams, because the connection will be reused.

        To be called in the bridge. Switches to the event loop.
        """
        while self.streams:
            self.streams.pop().end()

    def end(self) -> None:
        """
        Close the locks of this lease and of inner leases that the scope did not wait
        for, so that the connection can no longer be used through them. Never switches.
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
                # A stream that a run has opened stays open until the end of its block.
                source.streams |= self.streams
                source.lock.release()
            case Pool() as pool:
                wrapper = cast(BridgeMixin, self.wrapper)
                for stream in self.streams:
                    stream.ended = True
                if self.streams and not pool.in_memory:
                    # Closing their cursors would have to wait for the server.
                    wrapper.discard()
                pool.release(wrapper)
