"""The log of slow queries: `VINYL["SLOW_QUERIES"]`."""

from __future__ import annotations

import logging

from vinyl.conf import vinyl_settings
from vinyl.orm.observe.events import QueryEvent
from vinyl.orm.observe.sql_text import describe_params, text_of

__all__ = ["SlowLog"]

logger = logging.getLogger("vinyl.queries")


class SlowLog:
    """
    The observer that logs a warning for each slow query.

    Args:
        threshold: Queries that take this long, in seconds, are slow.
        shows_params: Whether to log the values of parameters, not only their number.
    """

    def __init__(self, threshold: float, *, shows_params: bool = False) -> None:
        self.threshold = threshold
        self.shows_params = shows_params

    @classmethod
    def from_settings(cls) -> SlowLog | None:
        """Return the one that the settings ask for; None for none. Never switches."""
        threshold = vinyl_settings.SLOW_QUERIES
        if threshold is None:
            return None
        return cls(threshold, shows_params=vinyl_settings.SLOW_QUERIES_PARAMS)

    def begin(self, query: QueryEvent) -> None:
        pass

    def end(self, query: QueryEvent) -> None:
        if query.seconds >= self.threshold and logger.isEnabledFor(logging.WARNING):
            self._log(query)

    def _log(self, query: QueryEvent) -> None:
        alias, outcome, text = query.connection.alias, query.outcome, text_of(query.sql)
        logger.warning(
            "Slow query on %r, %s after %.3f s: %s (%s)",
            alias,
            outcome,
            query.seconds,
            text,
            describe_params(query.params, query.many, self.shows_params),
            extra={
                "duration": query.seconds,
                "alias": alias,
                "sql": text,
                "outcome": outcome,
            },
        )
