"""
Changes of SQLite, which has no notifications: one connection asks for them.

`PRAGMA data_version` changes when another connection, of any process, has committed.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import connections

from vinyl.bridge.greenlets import run
from vinyl.orm.live.source import Source
from vinyl.orm.live.triggers import CHANNEL
from vinyl.orm.scopes.fork import disown_in_child

__all__ = ["POLL_INTERVAL", "Poller"]

logger = logging.getLogger("vinyl.live")

# In seconds.
POLL_INTERVAL = 0.5


class Poller(Source):
    """
    Tells its subscribers about each change of the database, whatever the table: SQLite
    does not know more.
    """

    # Whether the log has said that this database is polled.
    _has_told = False
    _wrapper: Any = None

    def close(self) -> None:
        if self._wrapper is not None:
            self._wrapper.discard()

    async def _listen(self) -> None:
        if not self._has_told:
            self._has_told = True
            logger.info(
                "Database %r has no notifications, so watch() asks it for changes "
                "every %g s. Use PostgreSQL to be told of them.",
                self.alias,
                POLL_INTERVAL,
            )
        wrapper: Any = connections.create_connection(self.alias)
        self._wrapper = wrapper
        disown_in_child(wrapper)
        try:
            version = await run(_version_of, wrapper)
            self._serve_from_here({CHANNEL})
            while self.subscribers:
                await self._wait_for_change(POLL_INTERVAL)
                known, version = version, await run(_version_of, wrapper)
                if version != known:
                    for subscriber in list(self._served):
                        subscriber.put_missed()
        finally:
            wrapper.discard()


def _version_of(wrapper: Any) -> int:
    # Without a cursor of Django's, so that no log of queries shows it.
    wrapper.ensure_connection()
    version: int = wrapper.connection.execute("PRAGMA data_version").fetchone()[0]
    return version
