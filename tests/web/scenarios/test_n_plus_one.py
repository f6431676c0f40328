"""N+1s are reported with the line that makes them, and with a cure that cures."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.db import models

import tests.records.models
from tests.fix_lazy_loads import COUNT, Reports, rows, visit, where
from tests.records.models import Album, Artist, Biography, Genre, Tag, Track
from tests.web.serving import serving, templates
from vinyl.orm.recording import recording
from vinyl.web import PlainTextResponse, Request, Response, path, render

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

DOCS = Path(__file__).parents[3] / "docs" / "topics" / "query-awareness.md"


PART = 'prefetch_related(Prefetch("tracks", queryset=..., to_attr=...))'

# What a template may show instead of a part, once that is prefetched to an attribute.
PARTS = {
    "tracks.filter(position=1)": "first_tracks",
    "genres.order_by('name')": "ordered",
    "tags.filter(word='blue')": "blue",
}

# What a template shows of each row, the queryset, what is loaded, and the cure.
CASES = {
    "a foreign key": (
        "row.artist.name",
        lambda: Album.objects.all(),
        "Album.artist",
        'the queryset of Album: select_related("artist").',
        lambda: Album.objects.select_related("artist"),
    ),
    "a foreign key of what was joined": (
        "row.album.artist.name",
        lambda: Track.objects.select_related("album"),
        "Album.artist",
        'the queryset of Track: select_related("album__artist").',
        lambda: Track.objects.select_related("album__artist"),
    ),
    "a foreign key of what was prefetched": (
        "row.tracks.all()[0].album.label.name",
        lambda: Album.objects.prefetch_related("tracks"),
        "Album.label",
        'the queryset of Album: select_related("label").',
        lambda: Album.objects.prefetch_related("tracks").select_related("label"),
    ),
    "a foreign key of what was prefetched by name": (
        "row.albums.all()[0].label.name",
        lambda: Artist.objects.prefetch_related("albums"),
        "Album.label",
        'the queryset of Artist: prefetch_related("albums__label").',
        lambda: Artist.objects.prefetch_related("albums__label"),
    ),
    "a one-to-one relation from its other side": (
        "row.biography.text",
        lambda: Artist.objects.all(),
        "Artist.biography",
        'the queryset of Artist: select_related("biography").',
        lambda: Artist.objects.select_related("biography"),
    ),
    "a relation to many": (
        "row.tracks.all() | length",
        lambda: Album.objects.all(),
        "Album.tracks",
        'the queryset of Album: prefetch_related("tracks").',
        lambda: Album.objects.prefetch_related("tracks"),
    ),
    "a many-to-many relation": (
        "row.genres.all() | length",
        lambda: Album.objects.all(),
        "Album.genres",
        'the queryset of Album: prefetch_related("genres").',
        lambda: Album.objects.prefetch_related("genres"),
    ),
    "a many-to-many relation from its other side, of what was joined": (
        "row.album.genres.all() | length",
        lambda: Track.objects.select_related("album"),
        "Album.genres",
        'the queryset of Track: prefetch_related("album__genres").',
        lambda: Track.objects.prefetch_related("album__genres"),
    ),
    "a generic relation": (
        "row.tags.all() | length",
        lambda: Album.objects.all(),
        "Album.tags",
        'the queryset of Album: prefetch_related("tags").',
        lambda: Album.objects.prefetch_related("tags"),
    ),
    "a generic foreign key": (
        "row.target.title",
        lambda: Tag.objects.all(),
        "Tag.target",
        'the queryset of Tag: prefetch_related("target").',
        lambda: Tag.objects.prefetch_related("target"),
    ),
    "a part of a relation to many": (
        "row.tracks.filter(position=1) | length",
        lambda: Album.objects.all(),
        "Album.tracks",
        f"the queryset of Album: {PART}.",
        lambda: Album.objects.prefetch_related(
            models.Prefetch(
                "tracks", Track.objects.filter(position=1), to_attr="first_tracks"
            )
        ),
    ),
    "a part of a relation to many that was prefetched": (
        "row.tracks.filter(position=1) | length",
        lambda: Album.objects.prefetch_related("tracks"),
        "Album.tracks",
        f"the queryset of Album: {PART}.",
        lambda: Album.objects.prefetch_related(
            models.Prefetch(
                "tracks", Track.objects.filter(position=1), to_attr="first_tracks"
            )
        ),
    ),
    "a many-to-many relation in another order": (
        "row.genres.order_by('name') | length",
        lambda: Album.objects.all(),
        "Album.genres",
        f"the queryset of Album: {PART.replace('tracks', 'genres')}.",
        lambda: Album.objects.prefetch_related(
            models.Prefetch("genres", Genre.objects.order_by("name"), to_attr="ordered")
        ),
    ),
    "a part of a generic relation": (
        "row.tags.filter(word='blue') | length",
        lambda: Album.objects.all(),
        "Album.tags",
        f"the queryset of Album: {PART.replace('tracks', 'tags')}.",
        lambda: Album.objects.prefetch_related(
            models.Prefetch("tags", Tag.objects.filter(word="blue"), to_attr="blue")
        ),
    ),
    "a deferred field": (
        "row.notes",
        lambda: Album.objects.defer("notes"),
        "Album.notes",
        'the queryset of Album: leave it out of defer(), or only(..., "notes").',
        lambda: Album.objects.only("title", "notes"),
    ),
    "a deferred field of what was joined": (
        "row.album.notes",
        lambda: Track.objects.select_related("album").defer("album__notes"),
        "Album.notes",
        'the queryset of Track: leave it out of defer(), or only(..., "album__notes").',
        lambda: Track.objects.select_related("album"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_n_plus_1_is_reported_and_its_cure_cures(
    case: Any, reports: Reports, albums: None
) -> None:
    expression, queryset, name, cure, cured = case
    before = await visit(rows(expression), queryset)
    assert re.fullmatch(
        rf"N\+1: template page\.html:3 loaded {re.escape(name)} {COUNT} times, one by "
        rf"one, in \d+\.\d ms\. Load (it|those rows) with {re.escape(cure)}",
        reports.one(),
    )
    reports.clear()
    for part, to_attr in PARTS.items():
        expression = expression.replace(part, to_attr)
    text = rows(expression)
    with recording() as record:
        assert await visit(text, cured) == before
    assert reports.all() == []
    assert record.count <= 3


@pytest.mark.usefixtures("albums")
class TestCallsites:
    async def reported(self, view: Any, reports: Reports) -> str:
        async with serving(path("", view), DEBUG=True) as http:
            response = await http.get("/")
        assert response.status_code == 200, response.text
        return reports.one()

    async def test_a_view_that_awaits(self, reports: Reports) -> None:
        async def view(request: Request) -> Response:
            albums = await Album.objects.all()
            return PlainTextResponse(
                " ".join([(await album.artist).name for album in albums])  # asks
            )

        said = await self.reported(view, reports)
        assert where(view, "# asks") in said
        assert f"loaded Album.artist {COUNT} times" in said
        assert 'select_related("artist")' in said

    async def test_a_view_that_awaits_a_relation_to_many(
        self, reports: Reports
    ) -> None:
        async def view(request: Request) -> Response:
            async for album in Album.objects.all():
                await album.tracks.all()  # asks
            return PlainTextResponse("")

        said = await self.reported(view, reports)
        assert where(view, "# asks") in said
        assert f"loaded Album.tracks {COUNT} times" in said

    async def test_a_view_that_gathers(self, reports: Reports) -> None:
        async def tracks(album: Any) -> Any:
            return await album.tracks.all()  # asks

        async def view(request: Request) -> Response:
            albums = await Album.objects.all()
            await asyncio.gather(*(tracks(album) for album in albums))
            return PlainTextResponse("")

        said = await self.reported(view, reports)
        assert where(tracks, "# asks") in said
        assert f"loaded Album.tracks {COUNT} times" in said

    async def test_relations_that_a_view_gathers_are_one_query(
        self, reports: Reports
    ) -> None:
        async def view(request: Request) -> Response:
            albums = await Album.objects.all()
            await asyncio.gather(*(album.artist for album in albums))
            return PlainTextResponse("")

        async with serving(path("", view), DEBUG=True) as http:
            await http.get("/")
        assert not reports.all()

    async def test_a_plain_view(self, reports: Reports) -> None:
        def view(request: Request) -> Response:
            for album in Album.objects.all():
                album.artist.name  # noqa: B018 asks
            return PlainTextResponse("")

        said = await self.reported(view, reports)
        assert where(view, "asks") in said

    async def test_a_method_of_the_model_for_a_template(self, reports: Reports) -> None:
        await visit(rows("row"), lambda: Album.objects.all())
        said = reports.one()
        assert where(Album.__str__, "self.artist.name") in said
        assert "in Album.__str__(), from template page.html:3 loaded" in said

    async def test_a_macro_of_another_template(self, reports: Reports) -> None:
        files = {
            "page.html": "{% from 'parts.html' import card %}"
            "{% for row in rows %}{{ card(row) }}{% endfor %}",
            "parts.html": "\n\n{% macro card(it) %}\n{{ it.artist }}{% endmacro %}",
        }
        await visit("", lambda: Album.objects.all(), **templates(files=files))
        assert reports.one().startswith("N+1: template parts.html:4 loaded ")

    async def test_a_template_of_djangos_own_engine(self, reports: Reports) -> None:
        loader = "django.template.loaders.locmem.Loader"
        text = "{% for row in rows %}\n{{ row.artist.name }}{% endfor %}"
        engine = {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [(loader, {"page.html": text})]},
        }

        async def view(request: Request) -> Response:
            albums = await Album.objects.all()
            return await render(None, "page.html", {"rows": albums})

        async with serving(path("", view), DEBUG=True, TEMPLATES=[engine]) as http:
            assert "Artist 1" in (await http.get("/")).text
        assert reports.one().startswith("N+1: template page.html:2 loaded ")


@pytest.mark.usefixtures("albums")
class TestWhatIsReported:
    async def test_one_load_is_nothing_bad(self, reports: Reports) -> None:
        await visit(rows("row.artist.name"), lambda: Album.objects.all()[:1])
        assert reports.all() == []

    async def test_what_takes_no_query_is_no_load(self, reports: Reports) -> None:
        await Album.objects.update(label=None)
        await visit(rows("row.label"), lambda: Album.objects.all())
        assert reports.all() == []

    async def test_what_is_known_to_be_empty_is_no_load(self, reports: Reports) -> None:
        text = rows("row.tracks.filter(pk__in=[])|length")
        assert "  0\n" in await visit(text, lambda: Album.objects.all())
        assert reports.all() == []

    async def test_relations_that_lead_nowhere_are_loads_too(
        self, reports: Reports
    ) -> None:
        await Biography.objects.all().delete()
        text = rows("row.biography is defined")
        await visit(text, lambda: Artist.objects.all())
        assert f"loaded Artist.biography {COUNT} times" in reports.one()

    async def test_each_line_by_itself(self, reports: Reports) -> None:
        text = rows("row.artist.name }}\n{{ row.label.name")
        await visit(text, lambda: Album.objects.all())
        first, second = sorted(reports.all())
        assert "page.html:3 loaded Album.artist" in first
        assert "page.html:4 loaded Album.label" in second

    async def test_a_queryset_that_the_template_evaluates(
        self, reports: Reports
    ) -> None:
        text = (
            "{% for album in artist.albums.all() %}\n{{ album.label.name }}{% endfor %}"
        )
        artist = await Artist.objects.create(name="Nina Simone")
        await Album.objects.update(artist=artist)

        async def view(request: Request) -> Response:
            found = await Artist.objects.get(name="Nina Simone")
            return await render(request, "page.html", {"artist": found})

        files = {"page.html": text}
        async with serving(
            path("", view), DEBUG=True, **templates(files=files)
        ) as http:
            await http.get("/")
        cure = 'the queryset of Artist: prefetch_related("albums__label").'
        assert reports.one().endswith(cure)


async def test_the_example_of_the_docs(
    reports: Reports, albums: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = DOCS.read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.S)
    [template] = re.findall(r"```html\n(.*?)```", text, re.S)
    [report] = re.findall(r"(N\+1: .*)\n", text)
    monkeypatch.setitem(sys.modules, "records", ModuleType("records"))
    monkeypatch.setitem(sys.modules, "records.models", tests.records.models)
    names: dict[str, Any] = {"__name__": "records.views"}
    files = templates(files={"records/albums.html": template})
    for part, expected in zip(code, ([report], []), strict=True):
        exec(part, names)
        reports.clear()
        async with serving(path("", names["albums"]), DEBUG=True, **files) as http:
            assert "by Artist 1</li>" in (await http.get("/")).text
        # Of five albums, in a time of its own.
        told = [re.sub(r"\d+ times|[\d.]+ ms", "", one) for one in reports.all()]
        assert told == [re.sub(r"\d+ times|[\d.]+ ms", "", one) for one in expected]
