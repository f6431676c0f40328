"""Query awareness: which lines of views and templates load lazily, and the cure."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core import checks
from django.db import models
from django.test import override_settings

import tests.records.models
from tests.records.models import Album, Artist, Biography, Genre, Label, Tag, Track
from tests.web.serving import serving, templates
from vinyl.exceptions import LazyInTemplateError
from vinyl.orm import run
from vinyl.orm.recording import recording
from vinyl.web import PlainTextResponse, Request, Response, path, render

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

DOCS = Path(__file__).parents[2] / "docs" / "topics" / "query-awareness.md"
COUNT = 5
FETCH_MODES = django.VERSION >= (6, 1)


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
class TestWhoAsked:
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
        async def view(request: Request) -> Response:
            albums = await Album.objects.all()
            await asyncio.gather(*(album.artist for album in albums))  # asks
            return PlainTextResponse("")

        said = await self.reported(view, reports)
        assert where(view, "# asks") in said
        assert f"loaded Album.artist {COUNT} times" in said

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

    async def test_requests_at_the_same_time_do_not_add_up(
        self, reports: Reports
    ) -> None:
        both = asyncio.Barrier(2)

        async def view(request: Request) -> Response:
            await both.wait()
            album = await Album.objects.afirst()
            assert album is not None
            await album.artist
            await both.wait()
            return PlainTextResponse("")

        async with serving(path("", view), DEBUG=True) as http:
            await asyncio.gather(http.get("/"), http.get("/"))
        assert reports.all() == []

    async def test_only_in_debug_mode(self, reports: Reports) -> None:
        await visit(rows("row.artist.name"), lambda: Album.objects.all(), DEBUG=False)
        assert reports.all() == []

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


@pytest.mark.usefixtures("albums")
class TestTemplatesThatMayNot:
    """VINYL["LAZY_IN_TEMPLATES"], in production."""

    async def visit(self, policy: str, text: str, queryset: Any) -> str:
        vinyl = {"OPENTELEMETRY": False, "LAZY_IN_TEMPLATES": policy}
        return await visit(text, queryset, DEBUG=False, VINYL=vinyl)

    async def test_allow_says_nothing(self, reports: Reports) -> None:
        text = rows("row.artist.name")
        assert "Artist 1" in await self.visit("allow", text, Album.objects.all)
        assert reports.all() == []

    async def test_warn_says_it_once_for_each_line(self, reports: Reports) -> None:
        text = rows("row.artist.name }}\n{{ row.tracks.all() | length")
        assert "Artist 1" in await self.visit("warn", text, Album.objects.all)
        artist, tracks = reports.all()
        assert artist == (
            "Album.artist is not loaded where template page.html:3 touches it. Load it "
            'with the queryset of Album: select_related("artist").'
        )
        assert tracks.startswith(
            "Album.tracks is not loaded where template page.html:4 touches it."
        )

    async def test_each_request_is_told_of(self, reports: Reports) -> None:
        for _ in range(2):
            await self.visit("warn", rows("row.artist.name"), Album.objects.all)
        assert len(reports.all()) == 2

    async def test_raise_raises(self, caplog: pytest.LogCaptureFixture) -> None:
        with recording(full=True) as record:
            text = rows("row.artist.name")
            error = await self.refused(text, Album.objects.all, caplog)
        assert str(error) == (
            "Album.artist is not loaded where page.html, line 3, touches it, and "
            "VINYL['LAZY_IN_TEMPLATES'] is 'raise'. Load it with the queryset of "
            'Album: select_related("artist").'
        )
        assert (error.owner, error.attribute) == ("Album", "artist")
        assert (error.template, error.line) == ("page.html", 3)
        # What was refused has not run.
        assert not [one for one in record.queries if "records_artist" in one.sql]

    async def refused(self, text: str, queryset: Any, caplog: Any) -> Any:
        with pytest.raises(AssertionError, match="500 Internal Server Error"):
            await self.visit("raise", text, queryset)
        [logged] = [one for one in caplog.records if one.name == "django.request"]
        error = logged.exc_info[1]
        assert isinstance(error, LazyInTemplateError)
        return error

    @pytest.mark.parametrize(
        ("expression", "name"),
        [
            ("row.tracks.all()", "Album.tracks"),
            ("row.genres.all()", "Album.genres"),
            ("row.tags.all()", "Album.tags"),
            ("row", "Album.artist"),
        ],
    )
    async def test_it_raises_for_every_kind(
        self, expression: str, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        error = await self.refused(rows(expression), Album.objects.all, caplog)
        assert f"{error.owner}.{error.attribute}" == name

    async def test_what_is_loaded_may_be_touched(self) -> None:
        text = rows("row.artist.name }}{{ row.tracks.all() | length")
        queryset = Album.objects.select_related("artist").prefetch_related("tracks")
        assert "Artist 1" in await self.visit("raise", text, queryset.all)

    async def test_what_takes_no_query_may_be_touched(self) -> None:
        await Album.objects.update(label=None)
        text = rows("row.label is none")
        assert "True" in await self.visit("raise", text, Album.objects.all)

    async def test_a_queryset_of_ones_own_may_be_evaluated(self) -> None:
        vinyl = {"OPENTELEMETRY": False, "LAZY_IN_TEMPLATES": "raise"}

        async def view(request: Request) -> Response:
            # The rows are fetched where the template goes through them.
            return await render(request, "page.html", {"rows": Album.objects.all()})

        files = templates(files={"page.html": rows("row.title")})
        async with serving(path("", view), VINYL=vinyl, **files) as http:
            assert "Album 1" in (await http.get("/")).text

    async def test_a_view_may_load_lazily(self) -> None:
        vinyl = {"OPENTELEMETRY": False, "LAZY_IN_TEMPLATES": "raise"}

        def view(request: Request) -> Response:
            album = Album.objects.all()[0]
            return PlainTextResponse(album.artist.name)

        async with serving(path("", view), VINYL=vinyl) as http:
            assert (await http.get("/")).text == "Artist 0"

    async def test_outside_a_request(self, reports: Reports) -> None:
        vinyl = {"OPENTELEMETRY": False, "LAZY_IN_TEMPLATES": "warn"}
        files = templates(files={"mail.txt": "{{ album.artist.name }}"})
        with override_settings(VINYL=vinyl, **files):
            for _ in range(2):
                album = await Album.objects.afirst()
                await render(None, "mail.txt", {"album": album})
        # Once, for there is no end to wait for.
        assert "touches it" in reports.one()


def where(function: Any, text: str) -> str:
    """The line of *function* that has *text*, as reports name it."""
    lines, first = inspect.getsourcelines(function)
    [found] = [number for number, line in enumerate(lines) if text in line]
    file = Path(function.__code__.co_filename).relative_to(Path.cwd())
    return f"{file}:{first + found}"


@pytest.mark.skipif(FETCH_MODES, reason="This Django has fetch modes")
def test_fetch_modes_need_a_newer_django() -> None:
    vinyl = {"OPENTELEMETRY": False, "TEMPLATE_FETCH_MODE": "peers"}
    with override_settings(VINYL=vinyl):
        [told] = checks.run_checks(tags=["vinyl"])
    assert told.id == "vinyl.E005"
    assert "requires Django 6.1" in told.msg


@pytest.mark.skipif(not FETCH_MODES, reason="Django 6.1 has fetch modes")
@pytest.mark.usefixtures("albums")
class TestPeers:
    """VINYL["TEMPLATE_FETCH_MODE"] = "peers"."""

    @pytest.fixture(autouse=True)
    def mode(self) -> Iterator[None]:
        vinyl = {"OPENTELEMETRY": False, "TEMPLATE_FETCH_MODE": "peers"}
        with override_settings(VINYL=vinyl):
            yield

    @pytest.mark.parametrize(
        ("expression", "queryset"),
        [
            ("row.artist.name", lambda: Album.objects.all()),
            ("row.notes", lambda: Album.objects.defer("notes")),
            ("row.biography.text", lambda: Artist.objects.all()),
            ("row.target.title", lambda: Tag.objects.all()),
            ("row.album.artist.name", lambda: Track.objects.select_related("album")),
        ],
        ids=["foreign key", "field", "one-to-one", "generic", "of what was joined"],
    )
    async def test_a_page_takes_two_queries(
        self, expression: str, queryset: Any, reports: Reports
    ) -> None:
        await run(meet)
        with recording() as record:
            page = await visit(rows(expression), queryset)
        assert len(page.split()) > COUNT
        assert record.count == 2
        assert reports.all() == []

    async def test_twenty_rows(self) -> None:
        for number in range(COUNT, 20):
            artist = await Artist.objects.create(name=f"Artist {number}")
            await Album.objects.create(title=f"Album {number}", artist=artist)
        await run(meet)
        counts = []
        for mode in ("one", "peers"):
            vinyl = {"OPENTELEMETRY": False, "TEMPLATE_FETCH_MODE": mode}
            with recording() as record:
                text = rows("row.artist.name")
                page = await visit(text, Album.objects.all, VINYL=vinyl)
            counts.append(record.count)
            assert page.count("Artist") == 20
        assert counts == [21, 2]

    async def test_code_fetches_for_one(self) -> None:
        albums = await Album.objects.all()
        with recording(full=True) as record:
            await albums[0].artist
            first, second = await asyncio.gather(albums[1].artist, albums[2].artist)
        assert (first.name, second.name) == ("Artist 1", "Artist 2")
        assert record.count == 3
        assert not Album.artist.is_cached(albums[3])

        def work() -> None:
            albums[3].artist.name  # noqa: B018

        with recording() as record:
            await run(work)
        assert record.count == 1
        assert not Album.artist.is_cached(albums[4])

    async def test_the_queryset_s_own_mode_comes_first(self) -> None:
        await run(meet)
        with recording() as record:
            own = models.FETCH_ONE
            await visit(rows("row.artist"), lambda: Album.objects.fetch_mode(own))
        assert record.count == 1 + COUNT

    async def test_instances_can_be_pickled(self) -> None:
        album = await Album.objects.afirst()
        again = pickle.loads(pickle.dumps(album))
        assert again == album
        assert (await again.artist).name == "Artist 0"


def meet() -> None:
    """Have Django know all content types, so that no page asks for one."""
    for model in (Album, Artist, Tag):
        ContentType.objects.get_for_model(model)


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
