"""Fixtures about lazy loads: albums whose relations lead somewhere, and reports."""

# django-stubs declares Django's path(), which takes no vinyl views.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType

from tests.records.models import Album, Artist, Biography, Genre, Label, Tag, Track
from tests.web.serving import serving, templates
from vinyl.orm import run
from vinyl.web import Request, Response, path, render

COUNT = 5


def make_albums() -> None:
    """Albums whose every relation leads somewhere."""
    label = Label.objects.create(name="Philips")
    genre = Genre.objects.create(name="jazz")
    for number in range(COUNT):
        artist = Artist.objects.create(name=f"Artist {number}")
        Biography.objects.create(artist=artist, text="Born.")
        album = Album.objects.create(
            title=f"Album {number}", artist=artist, label=label, notes="Mono."
        )
        album.genres.add(genre)
        Track.objects.create(title="One", album=album)
        Tag.objects.create(word="blue", target=album)
    ContentType.objects.clear_cache()


@pytest.fixture
async def albums(db: str) -> None:
    await run(make_albums)


class Reports:
    """What the log says of lazy loads."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def all(self) -> list[str]:
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.name == "vinyl.queries"
        ]

    def one(self) -> str:
        [text] = self.all()
        return text

    def clear(self) -> None:
        self._caplog.clear()


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> Reports:
    caplog.set_level(logging.WARNING, "vinyl.queries")
    return Reports(caplog)


def page(queryset: Callable[[], Any]) -> Any:
    """A view that shows the rows of *queryset* in the template page.html."""

    async def view(request: Request) -> Response:
        return await render(request, "page.html", {"rows": await queryset()})

    return path("", view)


async def visit(text: str, queryset: Callable[[], Any], **settings: Any) -> str:
    """The page that a template with *text* makes of *queryset*, in debug mode."""
    options = {"DEBUG": True, **templates(files={"page.html": text}), **settings}
    async with serving(page(queryset), **options) as http:
        response = await http.get("/")
    assert response.status_code == 200, response.text
    return response.text


def rows(expression: str) -> str:
    return f"<ul>\n{{% for row in rows %}}\n  {{{{ {expression} }}}}\n{{% endfor %}}"


def where(function: Any, text: str) -> str:
    """The line of *function* that has *text*, as reports name it."""
    lines, first = inspect.getsourcelines(function)
    [found] = [number for number, line in enumerate(lines) if text in line]
    file = Path(function.__code__.co_filename).relative_to(Path.cwd())
    return f"{file}:{first + found}"
