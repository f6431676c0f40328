"""Running the statements of plans without a cursor of Django's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vinyl.orm.backends.interruptions import InterruptionMixin

if TYPE_CHECKING:
    from vinyl.orm.backends.inline import Inline
    from vinyl.orm.backends.pipelines import Read, Replies
    from vinyl.orm.backends.statements import Statement

__all__ = ["FetchMixin"]


class FetchMixin(InterruptionMixin):
    """
    The part of `BridgeMixin` that runs the statements of plans. Subclasses say whether
    their driver can, and how.
    """

    # The driver's module.
    Database: Any

    def prepare_fetch(self) -> bool:
        """
        Connect if need be, and return whether `fetch()` can be called.

        Raises: as `cursor()`.

        Switches to the event loop inside the bridge if it connects.
        """
        self.validate_thread_sharing()
        self.close_if_health_check_failed()
        self.ensure_connection()
        return self.can_fetch()

    def fetch(self, statement: Statement, params: tuple[Any, ...]) -> list[Any]:
        """
        Run *statement*, a query, without a cursor of Django's, and return its rows.

        Raises: as `cursor.execute()`.

        Switches to the event loop inside the bridge.
        """
        super().validate_no_broken_transaction()
        with self.wrap_database_errors:
            return self.fetch_rows(statement, params)

    def can_fetch(self) -> bool:
        """Whether the open connection can fetch without a cursor. Never switches."""
        return False

    def fetch_rows(self, statement: Statement, params: tuple[Any, ...]) -> list[Any]:
        """
        Run *statement* in the driver and return its rows. Switches to the event loop
        inside the bridge.
        """
        raise NotImplementedError

    def has_arrays_of(self, db_types: Sequence[str]) -> bool:
        """
        Whether columns of *db_types*, types of the database without parameters, may be
        sent as `arrays_of()`. Never switches.
        """
        return False

    def arrays_of(
        self, db_types: Sequence[str], columns: Sequence[Sequence[Any]]
    ) -> tuple[Any, ...] | None:
        """
        Return *columns* as parameters of a statement that `can_fetch()`; None if the
        driver has to prepare each value.

        Args:
            db_types: The types of the columns, which `has_arrays_of()`.
            columns: The values of each column.

        Never switches.
        """
        return None

    def inline_converter(
        self, column: Any, number: int, converters: list[Callable[..., Any]]
    ) -> Inline | None:
        """
        Return an expression that has the effect of Django's *converters* of a column;
        None if there is none.

        Args:
            column: The expression that the query selects.
            number: The number of the column in a row.

        Never switches.
        """
        return None

    async def fetch_on_loop(
        self, statement: Statement, params: tuple[Any, ...]
    ) -> list[Any]:
        """
        Like `fetch()`, outside the bridge, on an open connection that `can_fetch()`.

        Switches to the event loop.
        """
        if self.needs_rollback:
            super().validate_no_broken_transaction()
        try:
            return await self.fetch_rows_on_loop(statement, params)
        except asyncio.CancelledError:
            self.note_interruption()
            raise
        except self.Database.Error:
            with self.wrap_database_errors:
                raise

    async def fetch_rows_on_loop(
        self, statement: Statement, params: tuple[Any, ...]
    ) -> list[Any]:
        """
        Like `fetch_rows()`, outside the bridge. Switches to the event loop.
        """
        raise NotImplementedError

    def has_pipelines(self) -> bool:
        """Whether reads on the open connection may be sent together. Never switches."""
        return False

    async def fetch_together_on_loop(
        self, reads: list[Read], replies: Replies, syncs_once: bool = False
    ) -> None:
        """
        Send *reads* together and pass on their replies, outside the bridge, on an open
        connection that `can_fetch()` and `has_pipelines()`.

        A read without a reply at the end has had no effect, and has to run again by
        itself.

        Args:
            syncs_once: Whether the server may reply to all of them at once, and to none
                of those after one that fails. For short reads, outside transactions.

        Raises:
            psycopg.Error: The connection is lost. The reads without a reply have not
                run, or their results are lost.

        Switches to the event loop.
        """
        raise NotImplementedError
