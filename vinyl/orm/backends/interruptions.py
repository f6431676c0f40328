"""The effects of a cancelled query on the transaction of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.transaction import TransactionManagementError

from vinyl.bridge.greenlets import current_shield

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper as _Wrapper
else:
    _Wrapper = object

__all__ = ["InterruptionMixin"]


class InterruptionMixin(_Wrapper):
    """
    The part of `BridgeMixin` that knows whether a query of the transaction was
    cancelled. Statements that begin or end a transaction are shielded, so that Django
    and the database agree on whether it is open.
    """

    # Whether a query of the open transaction has been cancelled.
    query_was_cancelled = False

    def note_interruption(self) -> None:
        """
        Note that a query was cancelled. PostgreSQL then refuses all further queries of
        the transaction, and SQLite may have rolled it back, so Django refuses them too.
        Never switches.
        """
        if self.in_atomic_block:
            self.needs_rollback = True
        self.query_was_cancelled = self.in_atomic_block or not self.autocommit

    def has_lost_changes(self) -> bool:
        """
        Whether a cancelled query has discarded the changes of the open transaction, so
        that a commit would save nothing, or only later changes. Never switches.
        """
        return (
            self.query_was_cancelled
            and self.connection is not None
            and self.transaction_is_lost()
        )

    def _commit(self) -> None:
        if self.has_lost_changes():
            raise TransactionManagementError(
                f"The transaction on database {self.alias!r} cannot be committed: one "
                f"of its queries was cancelled, for example by a timeout, and the "
                f"database has discarded its changes. Roll it back. If a query may "
                f"time out, run it in an atomic() block of its own."
            )
        super()._commit()  # type: ignore[misc]
        self.query_was_cancelled = False

    def _rollback(self) -> None:
        with current_shield().undoing():
            super()._rollback()  # type: ignore[misc]
        self.query_was_cancelled = False

    def _savepoint_rollback(self, sid: str) -> None:
        with current_shield().undoing():
            super()._savepoint_rollback(sid)  # type: ignore[misc]
        self.query_was_cancelled = self.has_lost_changes()

    def _set_autocommit(self, autocommit: bool) -> None:
        # Counts if it succeeds, so that Django knows the state that the driver is in.
        with current_shield().up():
            super()._set_autocommit(autocommit)  # type: ignore[misc]

    def transaction_is_lost(self) -> bool:
        """
        Whether the database has discarded the changes of the open transaction, in which
        a query was cancelled. Never switches.
        """
        raise NotImplementedError
