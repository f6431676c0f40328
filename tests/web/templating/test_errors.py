"""A missing template: the debug page says where it was looked for, and who asked."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from django.template import TemplateDoesNotExist, engines
from django.test import override_settings

from tests.web.serving import serving
from vinyl.web import Request, path, render
from vinyl.web.templating.errors import places
from vinyl.web.views import TemplateView

pytestmark = pytest.mark.anyio

ASKING = {
    "include.html": '<p>\n{% include "absent.html" %}\n',
    "extends.html": '{# why #}\n{% extends "absent.html" %}\n',
    "import.html": '\n{% import "absent.html" as absent %}\n',
    "from.html": '\n{% from "absent.html" import nothing %}\n',
    "either.html": '\n{% include ["absent.html", "gone.html"] %}\n',
    "deep.html": '<p>\n\n{% include "include.html" %}\n',
}
KINDS = ("text/html", "text/plain", "application/json")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "one", tmp_path / "two"]
    for folder in made:
        folder.mkdir()
    for name, text in ASKING.items():
        (made[1] / name).write_text(text)
    return made


def engine(*folders: Path, **options: Any) -> dict[str, Any]:
    backend = "vinyl.web.templating.Jinja2"
    apps = {} if options else {"APP_DIRS": True}
    return {"BACKEND": backend, "DIRS": [*folders], "OPTIONS": options, **apps}


async def coroutine(request: Request, name: str) -> Any:
    return await render(request, name)


def plain(request: Request, name: str) -> Any:
    return render(request, name)


class Classy(TemplateView):
    def get_template_names(self) -> list[str]:
        return [self.kwargs["name"], "second.html"]


VIEWS = (
    path("coroutine/<name>", coroutine),
    path("plain/<name>", plain),
    path("classy/<name>", Classy.as_view()),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("view", ["coroutine", "plain", "classy"])
async def test_the_page_lists_each_place(
    folders: list[Path], view: str, kind: str
) -> None:
    settings = {"TEMPLATES": [engine(*folders)], "DEBUG": True}
    async with serving(*VIEWS, **settings) as http:
        page = await http.get(f"/{view}/absent.html", headers={"Accept": kind})
    assert page.status_code == 500
    assert page.headers["content-type"].startswith(kind)
    names = ["absent.html", *(["second.html"] if view == "classy" else [])]
    for name in names:
        for folder in folders:
            assert f"{folder}/{name} (Source does not exist)" in page.text
        # The folder of an app.
        assert f"vinyl/web/jinja2/{name} (Source does not exist)" in page.text
    assert "did not provide a list" not in page.text
    assert "FileSystemLoader" in page.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("view", ["coroutine", "plain"])
async def test_the_page_names_the_template_and_the_line_that_asked(
    folders: list[Path], view: str, asking: str, kind: str
) -> None:
    settings = {"TEMPLATES": [engine(*folders)], "DEBUG": True}
    async with serving(*VIEWS, **settings) as http:
        page = await http.get(f"/{view}/{asking}", headers={"Accept": kind})
    assert f"{folders[0]}/absent.html (Source does not exist)" in page.text
    if asking == "either.html":
        assert f"{folders[0]}/gone.html (Source does not exist)" in page.text
    where = folders[1] / ("include.html" if asking == "deep.html" else asking)
    if kind == "text/html":
        place = f"In template <code>{where}</code>, error at line <strong>2</strong>"
        assert place in page.text
    elif kind == "text/plain":
        assert f"In template {where}, error at line 2" in page.text
    else:
        assert f'File "{where}", line 2' in page.json()["traceback"]
        assert page.json()["tried"]


async def test_each_engine_says_where_it_has_looked(folders: list[Path]) -> None:
    djangos = "django.template.backends.django.DjangoTemplates"
    other = {"BACKEND": djangos, "DIRS": [folders[0]]}
    settings = {"TEMPLATES": [engine(folders[1]), other], "DEBUG": True}
    async with serving(*VIEWS, **settings) as http:
        page = await http.get("/coroutine/absent.html")
    assert f"{folders[1]}/absent.html (Source does not exist)" in page.text
    assert f"{folders[0]}/absent.html (Source does not exist)" in page.text


def test_the_error_keeps_jinja2s_and_its_lines(folders: list[Path]) -> None:
    with override_settings(TEMPLATES=[engine(*folders)]):
        (template,) = engines.all()
        with pytest.raises(TemplateDoesNotExist) as caught:
            template.get_template("include.html").render()
    error = caught.value
    assert isinstance(error.__context__, jinja2.TemplateNotFound)
    assert error.__suppress_context__
    assert [origin.name for origin, _ in error.tried][:2] == [
        str(folder / "absent.html") for folder in folders
    ]


LOADERS = {
    "dict": (jinja2.DictLoader({}), ["DictLoader: x/y.html"]),
    "function": (
        jinja2.FunctionLoader(lambda name: None),
        ["FunctionLoader: x/y.html"],
    ),
    "package": (
        jinja2.PackageLoader("tests.records", ""),
        ["PackageLoader: tests.records/x/y.html"],
    ),
    "choice": (
        jinja2.ChoiceLoader([jinja2.DictLoader({}), jinja2.FileSystemLoader("/a")]),
        ["DictLoader: x/y.html", "FileSystemLoader: /a/x/y.html"],
    ),
    "prefix": (
        jinja2.PrefixLoader({"x": jinja2.FileSystemLoader(["/a", "/b"])}),
        ["FileSystemLoader: /a/y.html", "FileSystemLoader: /b/y.html"],
    ),
    "other-prefix": (
        jinja2.PrefixLoader({"z": jinja2.DictLoader({})}),
        ["PrefixLoader: x/y.html"],
    ),
    "no-folder": (jinja2.FileSystemLoader([]), ["FileSystemLoader: x/y.html"]),
    "none": (None, ["Environment: x/y.html"]),
}


@pytest.mark.parametrize(("loader", "expected"), LOADERS.values(), ids=LOADERS)
def test_each_kind_of_loader_says_where_it_has_looked(
    loader: Any, expected: list[str]
) -> None:
    found = list(places(loader, "x/y.html"))
    assert [f"{origin.loader_name}: {origin.name}" for origin, _ in found] == expected
    assert all(reason for _, reason in found)


def test_a_name_that_leads_outside_is_not_shown_as_a_file() -> None:
    ((origin, reason),) = places(jinja2.FileSystemLoader("/a"), "../b.html")
    assert origin.name == "../b.html"
    assert reason == "The name points outside the template folders"


async def test_no_place_is_shown_to_visitors(folders: list[Path]) -> None:
    async with serving(*VIEWS, TEMPLATES=[engine(*folders)]) as http:
        for kind in KINDS:
            page = await http.get("/coroutine/include.html", headers={"Accept": kind})
            assert page.status_code == 500
            assert str(folders[0]) not in page.text
