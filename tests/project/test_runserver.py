"""The development server: it survives mistakes, and says what it cannot do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.project.terminal import new_project, serving, vinyl, wait_for


def test_a_change_to_the_code_is_served_and_a_mistake_survived(tmp_path: Path) -> None:
    new_project(tmp_path)
    project = tmp_path / "mysite"
    views = project / "mysite" / "views.py"
    sound = views.read_text()

    with serving(project, reload=True) as client:
        log = project / "server.log"
        assert client.get("/").status_code == 200
        views.write_text(f"{sound}\nunfinished = (")
        wait_for(lambda: "is not valid Python" in log.read_text(), log)
        answer = "from vinyl.web import Response\nasync def home(request):\n"
        views.write_text(f"{answer}    return Response('Changed.')\n")
        wait_for(lambda: log.read_text().count("Ctrl-C quits") == 2, log)
        assert client.get("/").text == "Changed."


FORGETFUL = """
from django.contrib.auth.models import User
from vinyl.web import PlainTextResponse


async def home(request):
    {}User.objects.update(username="nobody")
    return PlainTextResponse("Saved.")
"""


@pytest.mark.parametrize(
    ("kept_in", "told"),
    [
        ("", "QuerySet.update&#x27; was called on the event loop and its result was"),
        ("done = ", "The view mysite.views.home"),
    ],
    ids=["dropped", "kept"],
)
def test_a_call_that_a_view_does_not_await_is_an_error(
    tmp_path: Path, kept_in: str, told: str
) -> None:
    new_project(tmp_path)
    project = tmp_path / "mysite"
    (project / "mysite" / "views.py").write_text(FORGETFUL.format(kept_in))

    with serving(project, reload=True) as client:
        answer = client.get("/")
        log = (project / "server.log").read_text()

    assert answer.status_code == 500
    for text in (told, "QuerySet.update&#x27; was", "username=&quot;nobody&quot;"):
        assert text in answer.text
    assert "NotAwaitedError" in log


FETCHED = """
from django.contrib.auth.models import Permission
from vinyl.web import PlainTextResponse


async def home(request):
    permission = await Permission.objects.select_related("content_type").first()
    return PlainTextResponse(str(await permission.content_type))
"""


def test_awaiting_a_relation_that_is_there_says_what_to_write(tmp_path: Path) -> None:
    new_project(tmp_path)
    project = tmp_path / "mysite"
    (project / "mysite" / "views.py").write_text(FETCHED)
    vinyl("migrate", cwd=project)

    with serving(project, reload=True) as client:
        answer = client.get("/")
        log = (project / "server.log").read_text()

    assert answer.status_code == 500
    remedy = "Write `await fetch(permission, 'content_type')`"
    assert remedy.replace("'", "&#x27;") in answer.text
    assert remedy in log


def test_a_port_in_use_is_reported_briefly(tmp_path: Path) -> None:
    new_project(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        printed = vinyl("runserver", str(port), cwd=tmp_path / "mysite", fails=True)

    assert f"Cannot listen on 127.0.0.1:{port}" in printed
    assert "Traceback" not in printed
