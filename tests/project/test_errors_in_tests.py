"""What pytest prints of an error that the client raises in a test of a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.terminal import new_project, run

VIEWS = """
import asyncio

from vinyl.web import render
from vinyl.web.views import TemplateView


async def page(request, name):
    return await render(request, f"{name}.html")


def plain(request, name):
    return 1 / 0


async def coroutine(request, name):
    return 1 / 0


class Classy(TemplateView):
    template_name = "nowhere.html"


async def failing():
    await asyncio.sleep(0)
    raise KeyError("x")


async def group(request, name):
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(failing())
        tasks.create_task(failing())


async def caused(request, name):
    try:
        await render(request, "nowhere.html")
    except Exception as error:
        raise LookupError("no page") from error


async def socket(ws):
    await ws.accept()
    raise OSError("no socket")
"""
URLS = """
from mysite import views
from vinyl.web import path, websocket

urlpatterns = [
    path("", views.plain, name="home"),
    path("page/<name>/", views.page),
    path("plain/<name>/", views.plain),
    path("coroutine/<name>/", views.coroutine),
    path("classy/<name>/", views.Classy.as_view()),
    path("group/<name>/", views.group),
    path("caused/<name>/", views.caused),
    path("socket/", websocket(views.socket)),
]
"""
TEMPLATES = {
    "undefined.html": '{% extends "base.html" %}\n{% block content %}\n'
    "{{ request.nothing.there }}\n{% endblock %}\n",
    "syntax.html": "<p>\n{{ unfinished( }}\n",
    "including.html": '<p>\n\n{% include "nowhere.html" %}\n',
    "extending.html": '{# why #}\n{% extends "nowhere.html" %}\n',
    "importing.html": '\n\n\n{% from "nowhere.html" import nothing %}\n',
}
TESTS = """
import pytest


async def test_asking(client):
    await client.get("{url}")
"""

# By address: the error, and the lines that it passed, each of which is shown once.
SHOWN = {
    "/page/undefined/": ("UndefinedError", ["undefined.html:3"]),
    "/page/syntax/": ("TemplateSyntaxError", ["syntax.html:2"]),
    "/page/nowhere/": ("TemplateDoesNotExist", ["views.py:9"]),
    "/page/including/": ("TemplateDoesNotExist", ["including.html:3"]),
    "/page/extending/": ("TemplateDoesNotExist", ["extending.html:2"]),
    "/page/importing/": ("TemplateDoesNotExist", ["importing.html:4"]),
    "/plain/x/": ("ZeroDivisionError", ["views.py:13"]),
    "/coroutine/x/": ("ZeroDivisionError", ["views.py:17"]),
    "/group/x/": ("ExceptionGroup", []),
    "/caused/x/": ("LookupError", ["views.py:39"]),
}
MACHINERY = ("site-packages", "transport.py", "templating.py", "runners.py")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("errors")
    new_project(folder)
    project = folder / "mysite"
    (project / "mysite" / "views.py").write_text(VIEWS)
    (project / "mysite" / "urls.py").write_text(URLS)
    for name, text in TEMPLATES.items():
        (project / "templates" / name).write_text(text)
    for file in (project / "tests").glob("test_*.py"):
        file.unlink()
    return project


def printed(project: Path, *options: str, **tests: str) -> str:
    """What pytest prints of *tests*, texts of files by name, all of which fail."""
    for name, text in tests.items():
        (project / "tests" / f"test_{name}.py").write_text(text)
    files = [f"tests/test_{name}.py" for name in tests]
    return run("pytest", "-q", *options, *files, cwd=project, fails=True)


def test_an_error_is_shown_once_with_the_lines_of_the_project(project: Path) -> None:
    tests = {f"case{number}": TESTS.format(url=url) for number, url in enumerate(SHOWN)}
    text = printed(project, **tests)
    _, *sections = text.split("_ test_asking _")
    for (url, (error, places)), section in zip(SHOWN.items(), sections, strict=True):
        section = section.partition("= short test summary info")[0]
        assert len(section.splitlines()) < 60, section
        shown = section.partition("- Captured ")[0]
        # But for messages, which may name the folders that were searched.
        lines = [line for line in shown.splitlines() if not line.startswith("E  ")]
        assert not [name for name in MACHINERY if name in "\n".join(lines)], section
        assert error in section
        assert "Traceback (most recent call last)" not in section or "group" in url
        for place in places:
            assert section.count(f"{place}: ") == 1, section
        # In one line of the log, without a traceback.
        assert f"Internal Server Error: GET {url}" in section
        assert section.count(f'await client.get("{url}")') == 1


def test_a_class_whose_template_is_missing_keeps_the_whole_traceback(
    project: Path,
) -> None:
    # No line of the project is in it, so nothing says which could be left out.
    text = printed(project, classy=TESTS.format(url="/classy/x/"))
    assert "TemplateDoesNotExist: nowhere.html" in text
    assert "site-packages" in text
    assert "Traceback (most recent call last)" not in text


def test_an_option_shows_the_whole_traceback(project: Path) -> None:
    text = printed(project, "--full-trace", full=TESTS.format(url="/plain/x/"))
    assert "ZeroDivisionError" in text
    assert "vinyl/web/testing/transport.py" in text


OTHERS = """
import pytest
from vinyl.web import testing


@pytest.fixture
async def page(client):
    return await client.post("/plain/x/")


async def test_a_fixture(page):
    pass


async def test_a_websocket(client):
    async with client.websocket("/socket/") as ws:
        await ws.receive_text()


async def test_what_is_caught_passes(client):
    with pytest.raises(ZeroDivisionError):
        await client.get("/coroutine/x/")


async def test_a_page(caplog):
    async with testing.client(raise_request_exception=False) as http:
        answer = await http.get("/coroutine/x/")
    # Nobody raises it here, so the log has the traceback.
    assert [record.exc_info for record in caplog.records if record.exc_info]
    assert answer.status_code == 200


async def test_its_own_error(client):
    assert {}["key"]
"""


def test_errors_in_fixtures_and_websockets_and_of_tests_themselves(
    project: Path,
) -> None:
    text = printed(project, others=OTHERS)
    before, _, logged = text.partition("_ test_a_page _")
    assert "1 passed" in text
    assert "1 error" in text
    assert before.count("mysite/views.py:13: ZeroDivisionError") == 1
    assert before.count("mysite/views.py:44: OSError") == 1
    # But for asyncio's warnings of slow steps, which name the code that they were in.
    lines = [line for line in before.splitlines() if " asyncio:" not in line]
    assert not [line for line in lines if "site-packages" in line]
    assert "assert 500 == 200" in logged
    assert "ZeroDivisionError: division by zero" in logged
    assert "KeyError: 'key'" in logged
