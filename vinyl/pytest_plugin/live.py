"""The server of the fixture `live_server`: uvicorn in a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from django.conf import settings
from django.test.utils import override_settings

__all__ = ["LiveServer", "serving"]

HOST = "127.0.0.1"
# How long the server may take to start or to stop, in seconds.
PATIENCE = 30.0


class LiveServer:
    """
    A running server. `str()` gives its address, to which a path can be added.

    Args:
        url: The address, without a slash at its end.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return self.url

    def __add__(self, path: str) -> str:
        return f"{self.url}{path}"

    def __repr__(self) -> str:
        return f"<LiveServer {self.url}>"


@contextmanager
def serving() -> Iterator[LiveServer]:
    """
    Serve the project's application on a free port of this computer, in the block.

    Raises:
        RuntimeError: The application did not start, or did not stop.

    Never switches.
    """
    from vinyl.web.application import get_asgi_application

    config = uvicorn.Config(
        get_asgi_application(),
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    hosts = [*settings.ALLOWED_HOSTS, HOST]
    with (
        override_settings(ALLOWED_HOSTS=hosts),
        socket.create_server((HOST, 0)) as sock,
    ):
        thread = threading.Thread(target=_serve, args=(server, sock), daemon=True)
        thread.start()
        deadline = time.monotonic() + PATIENCE
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(
                    "The application of live_server did not start, so the test has no "
                    "server. The log above has the reason; correct it."
                )
            time.sleep(0.005)
        try:
            yield LiveServer(f"http://{HOST}:{sock.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            if thread.is_alive():
                raise RuntimeError(
                    f"The application of live_server did not stop within {PATIENCE:g} "
                    f"s. Look for a request, a task or a lifespan that does not end."
                )


def _serve(server: uvicorn.Server, sock: socket.socket) -> None:
    try:
        server.run(sockets=[sock])
    except SystemExit:
        # A failed start, which the thread of the test reports.
        pass
