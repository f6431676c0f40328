"""`vinyl runserver`: the project on uvicorn, anew after each change to its code."""

from __future__ import annotations

import copy
import os
import socket
import sys
import traceback
from argparse import ArgumentParser
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import django
import uvicorn
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.management.commands import runserver
from django.db import connections
from django.utils.module_loading import import_string
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.supervisors import ChangeReload

import vinyl
from vinyl.web.application import get_asgi_application
from vinyl.web.management.failed_start import error_of, serve_error
from vinyl.web.routing.unawaited import watch

__all__ = ["Command"]

# Seconds that open connections (streams, WebSockets) get after Ctrl-C.
FAREWELL = 2


class Command(runserver.Command):
    help = "Starts a server for development; not for production."

    # Read from the command line by Django's handle(), which calls run().
    addr: str
    port: str
    use_ipv6: bool

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "addrport", nargs="?", help="A port, or address:port; 127.0.0.1:8000."
        )
        parser.add_argument(
            "--ipv6", "-6", action="store_true", dest="use_ipv6", help="Use IPv6."
        )
        parser.add_argument(
            "--noreload",
            action="store_false",
            dest="use_reloader",
            help="Do not start anew when the code changes.",
        )
        parser.add_argument(
            "--fd", type=int, help="Serve on this open socket, a file descriptor."
        )

    def run(self, **options: Any) -> None:
        """Serve, or watch over a process of this command that serves."""
        sock = self.bind(options["fd"])
        # Whatever is wrong with the database is told before anything starts.
        for connection in connections.all():
            connection.ensure_connection()
            connection.close()
        if options["use_reloader"]:
            self.supervise(sock)
        else:
            self.serve(sock, skip_checks=options["skip_checks"])

    def bind(self, fd: int | None) -> socket.socket:
        """
        The socket to serve on.

        Raises:
            CommandError: The address is taken, not ours, or unknown.
        """
        if fd is not None:
            return socket.socket(fileno=fd)
        family = socket.AF_INET6 if self.use_ipv6 else socket.AF_INET
        try:
            return socket.create_server((self.addr, int(self.port)), family=family)
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Cannot listen on {self.addr}:{self.port} ({error}). Choose another "
                f"port, as in `vinyl runserver 8001`, or stop what uses this one."
            ) from error

    def supervise(self, sock: socket.socket) -> None:
        """Keep a process that serves, and replace it when a file changes."""
        # uvicorn reloads only what has a name; nothing is imported by it.
        folders = [str(folder) for folder in watched()]
        config = configure("project", reload=True, reload_dirs=folders)
        self.stdout.write("Watching for changes.")
        self.stdout.flush()
        # The parent's imports are not the child's: it runs the whole command itself.
        command = [sys.argv[0], *sys.argv[1:], "--noreload"]
        ChangeReload(config, partial(serve_in_child, command), [sock]).run()

    def serve(self, sock: socket.socket, *, skip_checks: bool) -> None:
        """Check the project, say where it answers, and serve until interrupted."""
        if not skip_checks:
            self.check(display_num_errors=True)
        self.check_migrations()
        for connection in connections.all(initialized_only=True):
            connection.close()
        watch()
        application = Started(get_application())
        host, port = sock.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        self.stdout.write(
            f"\nvinyl {vinyl.__version__} (Django {django.get_version()}, uvicorn "
            f"{version('uvicorn')}), settings {os.environ['DJANGO_SETTINGS_MODULE']}\n"
            f"{self.style.SUCCESS(f'http://{host}:{port}/')}   Ctrl-C quits.\n"
        )
        # Where it is no terminal, it would stay in a buffer for as long as this runs.
        self.stdout.flush()
        server = uvicorn.Server(configure(application))
        try:
            server.run(sockets=[sock])
        except KeyboardInterrupt:
            pass
        except SystemExit:
            # What newer releases of uvicorn do about a failed start.
            if server.started:
                raise
        if not server.started:
            raise CommandError(
                "The application did not start; the log says why."
            ) from application.error


class Started:
    """
    *app*, unchanged.

    Attributes:
        error: What its lifespan raised; None if nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            if scope["type"] == "lifespan":
                self.error = error
            raise


def get_application() -> Any:
    """
    `settings.ASGI_APPLICATION`, or the one made from the settings.

    Raises:
        ImproperlyConfigured: It cannot be imported.
    """
    path = getattr(settings, "ASGI_APPLICATION", None)
    if not path:
        return get_asgi_application()
    try:
        return import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"settings.ASGI_APPLICATION is {path!r}, which cannot be imported: {error}."
        ) from error


def watched() -> set[Path]:
    """The project's folder, and those of apps that are developed elsewhere."""
    module = os.environ["DJANGO_SETTINGS_MODULE"]
    file = Path(sys.modules[module].__file__ or "").resolve()
    folders = {file.parents[module.count(".")]}
    for config in apps.get_app_configs() if apps.ready else ():
        path = Path(config.path).resolve()
        known = any(path.is_relative_to(folder) for folder in folders)
        if "site-packages" not in path.parts and not known:
            folders.add(path)
    return folders


def configure(application: Any, **options: Any) -> uvicorn.Config:
    """uvicorn's configuration; of its log, only requests and what went wrong."""
    log = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    log["loggers"]["uvicorn"]["level"] = "WARNING"
    log["loggers"]["uvicorn.error"]["level"] = "WARNING"
    if "vinyl" not in settings.LOGGING.get("loggers", {}):
        shown = {"handlers": ["default"], "level": "INFO", "propagate": False}
        log["loggers"]["vinyl"] = shown
    # The middleware logs each request itself.
    logs_itself = "vinyl.web.access.AccessLogMiddleware" in settings.MIDDLEWARE
    return uvicorn.Config(
        application,
        log_config=log,
        access_log=not logs_itself,
        timeout_graceful_shutdown=FAREWELL,
        **options,
    )


def serve_in_child(command: list[str], sockets: list[socket.socket]) -> None:
    """
    What the watched process does: this command again, on the socket it is given. Where
    that fails, the process stays and serves the error: the reloader keeps the socket
    open, so requests would wait for an answer until the next change.
    """
    from vinyl.cli import main

    (sock,) = sockets
    # A descriptor of its own: the command closes it.
    fd = sock.dup().detach()
    try:
        main([*command, "--fd", str(fd)])
    except SystemExit as exit:
        serve_error(error_of(exit), sock)
    except Exception as error:
        traceback.print_exception(error)
        serve_error(error, sock)
