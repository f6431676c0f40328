"""Serve one site in one mode and run its steps: `one_site PACKAGE MODE URL OUTPUT`."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from tests.compatibility.modes import application_of, settings_of


class Errors(logging.Handler):
    """Keeps the errors that the site logs while it answers a step."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info))
        self.texts.append(text)


@contextmanager
def logged_errors() -> Iterator[list[str]]:
    handler = Errors()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.texts
    finally:
        logging.getLogger().removeHandler(handler)


def attempt(step: Callable[..., Any], *args: Any) -> str:
    """What went wrong in *step*: nothing, or a text for people."""
    with logged_errors() as texts:
        try:
            step(*args)
        except Exception:
            return "\n".join([traceback.format_exc(), *texts])
    return ""


def prepare() -> None:
    """Set Django up, check the site, and make its tables."""
    import django
    from django.core import mail
    from django.core.management import call_command

    django.setup()
    # What the backend that keeps e-mails in memory would make with the first one.
    vars(mail)["outbox"] = []
    logger = logging.getLogger("django")
    logger.propagate = True
    logger.handlers.clear()
    # Checks of some packages query. Tables without migrations refer to others.
    call_command("migrate", verbosity=0, skip_checks=True)
    call_command("migrate", run_syncdb=True, verbosity=0, skip_checks=True)
    call_command("check", fail_level="ERROR")


async def serve(application: Any, steps: list[Callable[..., Any]], found: Any) -> None:
    """Run *steps* in a thread beside a server of *application*."""
    from tests.compatibility.visitor import HOST, Visitor

    config = uvicorn.Config(application, host=HOST, port=0, log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with Visitor(port) as visitor:
        for step in steps:
            found[step.__name__] = await asyncio.to_thread(attempt, step, visitor)
    server.should_exit = True
    await serving


def run(name: str, mode: str, url: str) -> dict[str, str]:
    """Each step of the site *name* by its name, with what went wrong or nothing."""
    from django.conf import settings

    found: dict[str, str] = {}
    package = importlib.import_module(f"tests.compatibility.packages.{name}")
    with tempfile.TemporaryDirectory(prefix="vinyl-files-") as folder:
        values = settings_of(package, mode, url, folder)
        with getattr(package, "around", no_surroundings)(values):
            settings.configure(**values)
            started = attempt(prepare)
            site: Any = None
            if not started:
                try:
                    site = importlib.import_module(f"{package.__name__}.site")
                    application = application_of(mode)
                    if wrapper := getattr(site, "asgi", None):
                        application = wrapper(application)
                except Exception:
                    started = traceback.format_exc()
            found["step_starts"] = started
            if not started:
                steps = [
                    value
                    for key, value in vars(site).items()
                    if key.startswith("step_")
                ]
                asyncio.run(serve(application, steps, found))
    return found


@contextmanager
def no_surroundings(values: dict[str, Any]) -> Iterator[None]:
    yield


if __name__ == "__main__":
    name, mode, url, output = sys.argv[1:]
    Path(output).write_text(json.dumps(run(name, mode, url)))
