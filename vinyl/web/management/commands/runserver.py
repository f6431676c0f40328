"""`vinyl runserver`: the project on uvicorn, restarted after changes to its code."""

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

# How long open connections (streams, WebSockets) may last after Ctrl-C, in seconds.
SHUTDOWN_TIMEOUT = 2


class Command(runserver.Command):
    """Serve the project with uvicorn, and restart after changes to its code."""

    help = "Starts a development server. Do not use it in production."

    # Read from the command line by Django's handle(), which calls run().
    addr: str
    port: str
    use_ipv6: bool

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "addrport",
            nargs="?",
            help="Port number, or address:port; 127.0.0.1:8000 by default.",
        )
        parser.add_argument(
            "--ipv6", "-6", action="store_true", dest="use_ipv6", help="Use IPv6."
        )
        parser.add_argument(
            "--noreload",
            action="store_false",
            dest="use_reloader",
            help="Do not restart the server when code changes.",
        )
        parser.add_argument(
            "--fd", type=int, help="File descriptor of an open socket to serve on."
        )

    def run(self, **options: Any) -> None:
        """Serve, or supervise a process of this command that serves."""
        sock = self.bind(options["fd"])
        # Report errors of the databases before anything starts.
        for connection in connections.all():
            connection.ensure_connection()
            connection.close()
        if options["use_reloader"]:
            self.supervise(sock)
        else:
            self.serve(sock, skip_checks=options["skip_checks"])

    def bind(self, fd: int | None) -> socket.socket:
        """
        Return the socket to serve on.

        Args:
            fd: An open socket, as a file descriptor; None to open one.

        Raises:
            CommandError: The address is in use, invalid, or not on this computer.
        """
        if fd is not None:
            return socket.socket(fileno=fd)
        family = socket.AF_INET6 if self.use_ipv6 else socket.AF_INET
        try:
            return socket.create_server((self.addr, int(self.port)), family=family)
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Cannot listen on {self.addr}:{self.port} ({error}). Choose another "
                f"port, as in `vinyl runserver 8001`, or stop the program that uses it."
            ) from error

    def supervise(self, sock: socket.socket) -> None:
        """Run a process that serves, and replace it when a file changes."""
        # uvicorn reloads only an application with a name; it does not import it here.
        folders = [str(folder) for folder in watched()]
        config = configure("project", reload=True, reload_dirs=folders)
        self.stdout.write("Watching for changes.")
        self.stdout.flush()
        # The child does not share the parent's imports: it runs the whole command.
        command = [sys.argv[0], *sys.argv[1:], "--noreload"]
        ChangeReload(config, partial(serve_in_child, command), [sock]).run()

    def serve(self, sock: socket.socket, *, skip_checks: bool) -> None:
        """Check the project, print its URL, and serve until interrupted."""
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
        # Without a terminal it would stay in a buffer while the server runs.
        self.stdout.flush()
        server = uvicorn.Server(configure(application))
        try:
            server.run(sockets=[sock])
        except KeyboardInterrupt:
            pass
        except SystemExit:
            # Newer releases of uvicorn raise it after a failed start.
            if server.started:
                raise
        if not server.started:
            raise CommandError(
                "The application did not start. See the log for the reason."
            ) from application.error


class Started:
    """
    An ASGI app that calls *app*, and keeps the error of its lifespan.

    Attributes:
        error: The error that the lifespan raised; None without one.
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
    Return `settings.ASGI_APPLICATION`, or the application made from the settings.

    Raises:
        ImproperlyConfigured: It cannot be imported, or a setting is wrong.
    """
    path = getattr(settings, "ASGI_APPLICATION", None)
    if not path:
        return get_asgi_application()
    try:
        return import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"settings.ASGI_APPLICATION is {path!r}, which cannot be imported: "
            f"{error}. Correct the dotted path, or remove the setting."
        ) from error


def watched() -> set[Path]:
    """Return the project's folder, and those of apps outside of site-packages."""
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
    """Return uvicorn's configuration, which logs only requests, warnings and errors."""
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
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        **options,
    )


def serve_in_child(command: list[str], sockets: list[socket.socket]) -> None:
    """
    Run this command in the supervised process, on the socket that it is given. If the
    command fails, serve its error: the reloader keeps the socket open, so requests
    would otherwise wait until the next change.
    """
    from vinyl.cli import main

    (sock,) = sockets
    # A copy of the descriptor, which the command closes.
    fd = sock.dup().detach()
    try:
        main([*command, "--fd", str(fd)])
    except SystemExit as exit:
        serve_error(error_of(exit), sock)
    except Exception as error:
        traceback.print_exception(error)
        serve_error(error, sock)
