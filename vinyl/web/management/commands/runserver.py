"""`vinyl runserver`: the project on uvicorn, restarted after changes to its code."""

from __future__ import annotations

import copy
import os
import socket
import ssl
import stat
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
from vinyl.web.loop_watch import report_blocking
from vinyl.web.management.failed_start import error_of, serve_error
from vinyl.web.management.workers import run_workers
from vinyl.web.routing.unawaited import watch

__all__ = ["Command"]

# How long open connections (streams, WebSockets) may last after Ctrl-C, in seconds.
SHUTDOWN_TIMEOUT = 2


class Command(runserver.Command):
    """Serve the project with uvicorn, and restart after changes to its code."""

    help = "Starts a development server. Do not use it in production."
    # `testserver` passes it on; here there are no threads to use or not.
    stealth_options = (*runserver.Command.stealth_options, "use_threading")

    # Read from the command line by Django's handle(), which calls run().
    addr: str
    port: str
    use_ipv6: bool
    # The options of HTTPS for uvicorn.
    ssl: dict[str, str]

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
        parser.add_argument(
            "--uds", metavar="PATH", help="Serve on a Unix domain socket at this path."
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=1,
            metavar="N",
            help="Serve with N processes, which do not restart when code changes.",
        )
        parser.add_argument(
            "--ssl-certfile", metavar="FILE", help="Serve HTTPS with this certificate."
        )
        parser.add_argument(
            "--ssl-keyfile",
            metavar="FILE",
            help="Private key of the certificate, if it is not in the same file.",
        )

    def run(self, **options: Any) -> None:
        """Serve, or supervise a process of this command that serves."""
        self.read_ssl(options)
        if options["workers"] < 1:
            raise CommandError(
                f"--workers is {options['workers']}, but at least one process has to "
                f"serve. Give a positive number."
            )
        sock = self.bind(options["fd"], options["uds"])
        # Report errors of the databases before anything starts.
        for connection in connections.all():
            connection.ensure_connection()
            connection.close()
        try:
            if options["workers"] > 1:
                self.serve_in_processes(sock, options["workers"])
            elif options["use_reloader"]:
                self.supervise(sock)
            else:
                self.serve(
                    sock,
                    skip_checks=options["skip_checks"],
                    verbosity=options["verbosity"],
                )
        finally:
            if options["uds"] and options["fd"] is None:
                Path(options["uds"]).unlink(missing_ok=True)

    def read_ssl(self, options: dict[str, Any]) -> None:
        """
        Keep the options of HTTPS for uvicorn.

        Raises:
            CommandError: The certificate or the key cannot be used.
        """
        names = ("ssl_certfile", "ssl_keyfile")
        self.ssl = {name: options[name] for name in names if options[name]}
        if not self.ssl:
            return
        try:
            if "ssl_certfile" not in self.ssl:
                raise ValueError("there is no --ssl-certfile")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            # Never asks for a password: there may be no terminal.
            context.load_cert_chain(
                options["ssl_certfile"], options["ssl_keyfile"], password=lambda: ""
            )
        except (OSError, ValueError) as error:
            raise CommandError(
                f"HTTPS cannot be served with certificate {options['ssl_certfile']!r} "
                f"and key {options['ssl_keyfile']!r} ({error}). Give files in PEM "
                f"format that belong together, the key without a password."
            ) from error

    def bind(self, fd: int | None, path: str | None) -> socket.socket:
        """
        Return the socket to serve on.

        Args:
            fd: An open socket, as a file descriptor; None to open one.
            path: Of a Unix domain socket to open; None for an address.

        Raises:
            CommandError: The address is in use, invalid, or not on this computer.
        """
        if fd is not None:
            try:
                return socket.socket(fileno=fd)
            except OSError as error:
                raise CommandError(
                    f"File descriptor {fd} of --fd is not an open socket "
                    f"({error.strerror}). Give one that the parent process has opened."
                ) from error
        if path is not None:
            return bind_unix_socket(path)
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
        ChangeReload(config, partial(serve_in_child, command_of_child()), [sock]).run()

    def serve_in_processes(self, sock: socket.socket, workers: int) -> None:
        """Run *workers* processes that serve, and replace one that ends."""
        self.stdout.write(f"{workers} processes serve {self.banner(sock)}")
        self.stdout.flush()
        _, *options = command_of_child()
        run_workers(
            [*options, "--workers", "1", "--verbosity", "0"], sock.fileno(), workers
        )

    def banner(self, sock: socket.socket) -> str:
        """Return the address of *sock* for the terminal. Never switches."""
        name = sock.getsockname()
        if isinstance(name, str):
            return f"{self.style.SUCCESS(f'unix:{name}')}   Ctrl-C quits.\n"
        host, port = name[:2]
        host = f"[{host}]" if ":" in host else host
        scheme = "https" if self.ssl else "http"
        return f"{self.style.SUCCESS(f'{scheme}://{host}:{port}/')}   Ctrl-C quits.\n"

    def serve(self, sock: socket.socket, *, skip_checks: bool, verbosity: int) -> None:
        """Check the project, print its URL, and serve until interrupted."""
        if not skip_checks:
            self.check(display_num_errors=bool(verbosity))
        if verbosity:
            self.check_migrations()
        for connection in connections.all(initialized_only=True):
            connection.close()
        watch()
        application = Started(get_application())
        if verbosity:
            self.stdout.write(
                f"\nvinyl {vinyl.__version__} (Django {django.get_version()}, uvicorn "
                f"{version('uvicorn')}), settings "
                f"{os.environ['DJANGO_SETTINGS_MODULE']}\n{self.banner(sock)}"
            )
            # Without a terminal it would stay in a buffer while the server runs.
            self.stdout.flush()
        server = uvicorn.Server(configure(application, **self.ssl))
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
    An ASGI app that calls *app*, reports code that blocks the event loop, and keeps the
    error of the lifespan.

    Attributes:
        error: The error that the lifespan raised; None without one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        async with report_blocking():
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                # Before the report ends: uvicorn does not wait for that.
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


def bind_unix_socket(path: str) -> socket.socket:
    """
    Return a socket that listens at *path*. A file that a server has left is replaced.

    Raises:
        CommandError: Another program listens there, or the path cannot be used.
    """
    sock = socket.socket(socket.AF_UNIX)
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode) and not answers(path):
            os.unlink(path)
    except FileNotFoundError:
        pass
    try:
        sock.bind(path)
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise CommandError(
            f"Cannot listen on the Unix domain socket {path} ({error}). Choose another "
            f"path, in a folder that exists and can be written, or stop the program "
            f"that uses it."
        ) from error
    return sock


def answers(path: str) -> bool:
    """Return whether a program listens on the Unix domain socket at *path*."""
    with socket.socket(socket.AF_UNIX) as attempt:
        try:
            attempt.connect(path)
        except OSError:
            return False
        return True


def command_of_child() -> list[str]:
    """
    Return the command line of a process that serves for this one. It does not share the
    parent's imports: it runs the whole command.
    """
    return [sys.argv[0], *sys.argv[1:], "--noreload"]


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
