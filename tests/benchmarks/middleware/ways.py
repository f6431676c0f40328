"""The ways to serve the site, each as settings and as the command of a server."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.compatibility.modes import settings_of

__all__ = ["WAYS", "Way", "command_of", "settings_for"]

PACKAGE = "tests.benchmarks.middleware"
# Sessions, languages, CSRF, users, messages, and one of the project's own.
DJANGO = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    f"{PACKAGE}.site.region",
]
VINYL = [
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.i18n.LocaleMiddleware",
    "vinyl.web.csrf.CSRFMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
    f"{PACKAGE}.site.region",
]


@dataclass(frozen=True)
class Way:
    """
    Args:
        title: In the table.
        mode: Which settings and which application: one of tests.compatibility.modes.
        database: What differs in the entry of DATABASES.
        threads: Of gunicorn, which serves the site by WSGI; 0 for uvicorn.
    """

    title: str
    mode: str
    database: dict[str, Any]
    threads: int = 0


def ways(connections: int) -> dict[str, Way]:
    """By name; with as many connections to the database as requests at a time."""
    pool = {"OPTIONS": {"pool": {"min_size": connections, "max_size": connections}}}
    return {
        "stock": Way("Django, ASGI", "stock", {}),
        "pool": Way("Django, ASGI, with Django's pool", "stock", pool),
        "wsgi": Way(
            f"Django, WSGI: gunicorn, {connections} threads that keep connections",
            "stock",
            {"CONN_MAX_AGE": None},
            connections,
        ),
        "handler": Way("Django's handler, `vinyl.orm`", "handler", pool),
        "bridged": Way("Django's handler in the bridge", "bridged", pool),
        "web": Way("`vinyl.web`", "web", pool),
    }


WAYS = list(ways(1))


def settings_for(way: Way, url: str) -> dict[str, Any]:
    """The settings of the site with the database at *url*."""
    package: Any = ModuleType(PACKAGE)
    values = settings_of(package, way.mode, url, "")
    middleware = VINYL if way.mode == "web" else DJANGO
    templates = [
        {**engine, "DIRS": [Path(__file__).with_name("templates")]}
        for engine in values["TEMPLATES"]
        if "DjangoTemplates" in engine["BACKEND"]
    ]
    database = {**values["DATABASES"]["default"], **way.database}
    return {
        **values,
        "DATABASES": {"default": database},
        "MIDDLEWARE": middleware,
        "TEMPLATES": templates,
    }


def command_of(way: Way, port: int) -> list[str]:
    """What serves the site, in one process that answers requests."""
    app = f"{PACKAGE}.serve:application"
    if way.threads:
        command = ["gunicorn", app, "--bind", f"127.0.0.1:{port}", "--workers", "1"]
        command += ["--threads", str(way.threads), "--log-level", "warning"]
    else:
        command = ["uvicorn", app, "--port", str(port), "--loop", "uvloop"]
        command += ["--http", "httptools", "--ws", "none", "--no-access-log"]
        command += ["--log-level", "warning"]
    return [sys.executable, "-m", *command]
