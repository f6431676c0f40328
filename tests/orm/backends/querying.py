"""Sync code that makes a query, to be run in the bridge."""

from __future__ import annotations

from typing import Any

from vinyl.orm import connection

__all__ = ["query"]


def query(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()
