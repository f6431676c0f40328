"""
Prepare or walk through one application in one mode: `one_run prepare OUTPUT`, or
`one_run walk OUTPUT [REQUESTS]`.

The environment names the application, the mode and the database: see overlay.py.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

# django-stubs declares the sync API alone.
# mypy: disable-error-code="attr-defined"

USERS = ("nina", "otis")
PAGES = {"": 40, "nina": 110}
TOGETHER = 8  # pages that users ask for at the same time


class Errors(logging.Handler):
    """Keeps the errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "django.request" and record.levelno < logging.ERROR:
            return
        text = f"{record.name}: {record.getMessage()}"
        if record.exc_info:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info))
        self.texts.append(text)


def prepare(project: Any) -> None:
    """Make the tables, a superuser by the command, and the project's data."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    os.environ["DJANGO_SUPERUSER_PASSWORD"] = "a password"
    users: Any = get_user_model()
    for name in USERS:
        fields = {users.USERNAME_FIELD: name, "email": f"{name}@example.org"}
        if users.USERNAME_FIELD == "email":
            fields = {"email": f"{name}@example.org"}
        needed = {key: fields.get(key, name) for key in users.REQUIRED_FIELDS}
        call_command("createsuperuser", interactive=False, **{**fields, **needed})
    project.load()


def checked() -> list[str]:
    """What `check --deploy` says."""
    from django.core.checks import run_checks

    return [str(each) for each in run_checks(include_deployment_checks=True)]


@contextlib.contextmanager
def served(mode: str) -> Iterator[str]:
    """The origin of a server in a thread."""
    if mode in ("stock", "wsgi"):
        from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
        from django.core.wsgi import get_wsgi_application

        class Handler(WSGIRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

        server: Any = ThreadedWSGIServer(("127.0.0.1", 0), Handler)
        server.set_app(get_wsgi_application())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        return
    import uvicorn
    from django.core.asgi import get_asgi_application

    application = get_asgi_application()
    config = uvicorn.Config(application, port=0, log_config=None, lifespan="auto")
    asgi = uvicorn.Server(config)
    thread = threading.Thread(target=asgi.run)
    thread.start()
    while not asgi.started and thread.is_alive():
        time.sleep(0.01)
    yield f"http://127.0.0.1:{asgi.servers[0].sockets[0].getsockname()[1]}"
    asgi.should_exit = True
    thread.join(30)


def sessions_of(names: tuple[str, ...]) -> dict[str, str]:
    """The keys of new sessions, by the name of the user."""
    from django.conf import settings
    from django.contrib.auth import get_user_model

    store = import_module(settings.SESSION_ENGINE).SessionStore
    users: Any = get_user_model()
    keys = {"": ""}
    for name in names:
        by_name = f"{name}@example.org" if users.USERNAME_FIELD == "email" else name
        user = users.objects.get(**{users.USERNAME_FIELD: by_name})
        session = store()
        session["_auth_user_id"] = str(user.pk)
        backend = "django.contrib.auth.backends.ModelBackend"
        if backend not in settings.AUTHENTICATION_BACKENDS:
            backend = settings.AUTHENTICATION_BACKENDS[0]
        session["_auth_user_backend"] = backend
        session["_auth_user_hash"] = user.get_session_auth_hash()
        session.save()
        keys[name] = session.session_key
    return keys


def view_of(path: str) -> Any:
    from django.conf import settings
    from django.urls import Resolver404, resolve

    if path.startswith((settings.STATIC_URL or "/-/", settings.MEDIA_URL or "/-/")):
        return None
    try:
        return resolve(path).route
    except Resolver404:
        return None


def dump() -> dict[str, list[str]]:
    """The rows of each table, without what differs between two runs."""
    from django.apps import apps
    from django.core import serializers

    from tests.compatibility.applications.crawler import without_varying

    rows: dict[str, list[str]] = {}
    for model in apps.get_models():
        if model._meta.label in ("sessions.Session", "admin.LogEntry"):
            continue
        if not model._meta.managed or model._meta.proxy:
            continue
        found = serializers.serialize("jsonl", model._base_manager.order_by("pk"))
        rows[model._meta.label] = without_varying(found).splitlines()
    return rows


def mixed(walker: Any) -> list[str]:
    """The pages that come out otherwise when users ask for them at the same time."""
    from tests.compatibility.applications.crawler import Request

    pages = [
        request.url
        for request, answer in zip(walker.requests, walker.answers, strict=True)
        if answer.status == 200 and request.user and request.fields is None
    ]
    asked = [Request(user, url) for url in pages[:TOGETHER] for user in ("", *USERS)]
    first = {request: walker.ask(request)[0] for request in asked}
    stable = [each for each in asked if walker.ask(each)[0] == first[each]]
    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda each: walker.ask(each)[0], stable * 2)
        return sorted(
            {
                f"{request.user} {request.url}: {answer.status}"
                for request, answer in zip(stable * 2, answers, strict=True)
                if answer != first[request]
            }
        )


def walk(project: Any, mode: str, output: Path, known: Path | None) -> None:
    from django.conf import settings
    from django.utils import translation

    from tests.compatibility.applications.crawler import Request, Walker

    translation.activate(settings.LANGUAGE_CODE)
    sessions = sessions_of(USERS)
    with served(mode) as origin:
        # Making the application has set logging up.
        errors = Errors()
        logging.getLogger().addHandler(errors)
        logger = logging.getLogger("django")
        logger.propagate = True
        logger.handlers.clear()
        walker = Walker(origin, sessions, settings.SESSION_COOKIE_NAME)
        begin, cpu = time.monotonic(), time.process_time()
        if known is None:
            for user, most in PAGES.items():
                walker.explore(user, project.starts, view_of, most)
        else:
            found = json.loads(known.read_text())
            walker.repeat(
                Request(user, url, fields and tuple(map(tuple, fields)), multipart)
                for user, url, fields, multipart in found["requests"]
            )
        took = time.monotonic() - begin, time.process_time() - cpu
        rows = dump()
        mixtures = mixed(walker)
        walker.close()
    result = {
        "requests": walker.requests,
        "answers": walker.answers,
        "rows": rows,
        "mixed": mixtures,
        "errors": errors.texts,
        "took": took,
        "checked": checked(),
    }
    output.write_text(json.dumps(result, indent=1))


def main(action: str, *paths: str) -> None:
    import django

    mode = os.environ["APPLICATION_MODE"]
    django.setup()
    project = import_module(f"{os.environ['APPLICATION']}.site")
    if action == "prepare":
        prepare(project)
        Path(paths[0]).write_text(json.dumps({"rows": dump()}))
    else:
        walk(project, mode, Path(paths[0]), Path(paths[1]) if paths[1:] else None)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that an application left behind must not keep the process from ending.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
