"""Stopping a task at a query, while the test or another task does something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from vinyl.orm import await_, connection


class Gate:
    """
    Stops one task at the first of its queries that contains *text*: `arrived` is set
    when it is there, and it goes on when `opened` is set.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.arrived, self.opened = asyncio.Event(), asyncio.Event()

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, _: Any) -> Any:
        if self.text in sql and not self.arrived.is_set():
            self.arrived.set()
            await_(self.opened.wait())
        return execute(sql, params, many, _)

    async def around(self, work: Callable[[], Any]) -> Any:
        """What *work* returns, whose task stops here."""
        with connection.execute_wrapper(self):
            return await work()
