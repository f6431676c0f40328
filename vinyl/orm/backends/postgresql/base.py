"""ENGINE "vinyl.orm.backends.postgresql": Django's backend in both modes."""

from __future__ import annotations

from django.db.backends.postgresql import base

from vinyl.orm.backends.psycopg import PsycopgMixin

__all__ = ["DatabaseWrapper"]


class DatabaseWrapper(PsycopgMixin, base.DatabaseWrapper):
    """A PostgreSQL connection that waits on the event loop inside the bridge."""
