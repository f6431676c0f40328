"""Templates: rendered in the bridge, lazy relations awaited where they are touched."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.template import (
    TemplateDoesNotExist,
    TemplateSyntaxError,
    engines,
    loader,
)
from django.template.backends.django import DjangoTemplates
from django.test import override_settings
from django.views.decorators.cache import never_cache
from jinja2 import UndefinedError, pass_context

from tests.records.models import Album, Artist, Genre, Label, Track
from tests.web.serving import serving, settings_for, templates
from vinyl.exceptions import NotFetchedError
from vinyl.orm import run
from vinyl.web import Request, Response, path, render, stream

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

ALBUM = """
{%- extends "base.html" -%}
{%- block body -%}
{{ album.title }} by {{ album.artist.name }}
{%- if album.label %} on {{ album.label.name }}{% endif %}:
{%- for track in album.tracks.all() %} {{ loop.index }}/{{ loop.length }} {{ track }}
{%- endfor %}; {{ album.genres.all() | map(attribute="name") | sort | join(", ") }}
{%- if not album.reviews.all() %}; no reviews{% endif -%}
{%- endblock -%}
"""
FILES = {"base.html": "<p>{% block body %}{% endblock %}</p>", "album.html": ALBUM}
RENDERED = (
    "<p>Pastel Blues by Nina Simone on Philips: 1/2 Be My Husband 2/2 Sinnerman; "
    "blues, jazz; no reviews</p>"
)


def make_album() -> Album:
    artist = Artist.objects.create(name="Nina Simone")
    label = Label.objects.create(name="Philips")
    album = Album.objects.create(title="Pastel Blues", artist=artist, label=label)
    album.genres.add(
        *Genre.objects.bulk_create([Genre(name="jazz"), Genre(name="blues")])
    )
    for position, title in enumerate(["Be My Husband", "Sinnerman"]):
        Track.objects.create(album=album, title=title, position=position)
    return Album.objects.get()


class TestRelations:
    @pytest.fixture(autouse=True)
    def files(self) -> Any:
        with override_settings(**templates(files=FILES)):
            yield

    async def test_an_async_view_awaits_render(self) -> None:
        await run(make_album)

        async def view(request: Request) -> Response:
            album = await Album.objects.get()
            return await render(request, "album.html", {"album": album})

        async with serving(path("", view)) as http:
            response = await http.get("/")
        assert response.text == RENDERED
        assert response.headers["content-type"] == "text/html; charset=utf-8"

    async def test_a_plain_view_returns_it(self) -> None:
        await run(make_album)

        def view(request: Request) -> Response:
            album = Album.objects.get()
            return render(request, "album.html", {"album": album}, status=201)

        async with serving(path("", view)) as http:
            response = await http.get("/")
        assert (response.status_code, response.text) == (201, RENDERED)

    def test_without_an_event_loop_it_is_plain_django(self) -> None:
        response = render(None, "album.html", {"album": make_album()})
        assert response.content.decode() == RENDERED

    async def test_each_page_holds_one_connection(self, db: str) -> None:
        from vinyl.orm.pools.registry import pool_for

        await run(make_album)
        most = 0

        async def count() -> str:
            nonlocal most
            most = max(most, len(pool_for("default").in_use))
            return ""

        text = ALBUM.replace("{{ track }}", "{{ track }}{{ count() }}")
        with override_settings(**templates(files=FILES | {"album.html": text})):
            context = {"album": await Album.objects.get(), "count": count}
            assert (
                await render(None, "album.html", context)
            ).content.decode() == RENDERED
        assert most == 1

    async def test_outside_the_bridge_nothing_is_fetched(
        self, queries: list[str]
    ) -> None:
        await run(make_album)
        album = await Album.objects.get()
        queries.clear()
        with pytest.raises(NotFetchedError, match=r"Album\.artist .*Await it first"):
            loader.get_template("album.html").render({"album": album})
        assert queries == []


def rendered(text: str, **context: Any) -> str:
    with override_settings(**templates(files={"page.html": text})):
        return render(None, "page.html", context).content.decode()


class TestCalls:
    async def test_async_functions_are_awaited(self) -> None:
        async def newest(count: int) -> list[str]:
            await asyncio.sleep(0)
            return [a.name async for a in Artist.objects.order_by("-pk")[:count]]

        await Artist.objects.create(name="Nina Simone")
        text = "{{ newest(1)[0] }} {{ newest(count=5) | length }}"
        assert await run(rendered, text, newest=newest) == "Nina Simone 1"

    async def test_methods_of_the_orm_need_no_await(self) -> None:
        await Artist.objects.create(name="Nina Simone")
        text = "{{ artists.count() }}{% if artists.exists() %} yes{% endif %}"
        assert await run(rendered, text, artists=Artist.objects) == "1 yes"

    async def test_a_macro_may_fetch(self) -> None:
        await run(make_album)
        text = "{% macro by(a) %}{{ a.artist.name }}{% endmacro %}{{ by(album) }}"
        assert (
            await run(rendered, text, album=await Album.objects.get()) == "Nina Simone"
        )

    def test_functions_may_take_the_context_of_the_template(self) -> None:
        class Greeting:
            @pass_context
            def __call__(self, context: Any, name: str) -> str:
                return f"{context['word']} {name}"

        @pass_context
        def greet(context: Any, name: str) -> str:
            return f"{context['word']}, {name}"

        text = "{% set word = 'hi' %}{{ greet('Nina') }}; {{ greeting(name='Ada') }}"
        assert rendered(text, greet=greet, greeting=Greeting()) == "hi, Nina; hi Ada"

    @pytest.mark.parametrize("call", ["next_of(empty)", "empty.__next__()"])
    def test_a_function_that_raises_stop_iteration_has_no_value(
        self, call: str
    ) -> None:
        # It would end the template early, which is a generator.
        with pytest.raises(UndefinedError, match="StopIteration"):
            rendered(f"{{{{ {call} }}}} more", next_of=next, empty=iter(()))
        text = "{% set found = next_of(empty) %}{{ found is defined }} more"
        assert rendered(text, next_of=next, empty=iter(())) == "False more"


class TestStreams:
    async def test_the_page_is_sent_while_it_is_rendered(self, db: Any) -> None:
        for number in range(120):
            await Artist.objects.create(name=f"<{number}>")
        sent = asyncio.Event()

        async def wait_until_sent() -> str:
            await sent.wait()
            return "end"

        @never_cache
        async def view(request: Request) -> Response:
            artists = Artist.objects.order_by("pk")
            return stream(
                request, "page.html", {"artists": artists, "last": wait_until_sent}
            )

        text = "{% for artist in artists %}{{ artist.name }} {% endfor %}{{ last() }}"
        async with serving(
            path("", view), **templates(files={"page.html": text})
        ) as http:
            async with http.stream("GET", "/") as response:
                assert response.headers["content-type"] == "text/html; charset=utf-8"
                assert "no-store" in response.headers["cache-control"]
                pieces = []
                async for piece in response.aiter_text():
                    pieces.append(piece)
                    sent.set()
        assert len(pieces) > 1
        expected = "".join(f"&lt;{number}&gt; " for number in range(120))
        assert "".join(pieces) == f"{expected}end"

    async def test_a_template_that_is_not_there(self) -> None:
        with pytest.raises(TemplateDoesNotExist):
            stream(None, "missing.html")

    async def test_an_error_breaks_the_connection_off(self) -> None:
        async def view(request: Request) -> Response:
            return stream(request, "page.html")

        text = "{% for n in range(200) %}{{ n }} {% endfor %}{{ missing }}"
        files = {"page.html": text}
        async with serving(path("", view), **templates(files=files)) as http:
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get("/")

    async def test_an_error_before_the_first_piece_has_its_page(self) -> None:
        async def view(request: Request) -> Response:
            return stream(request, "page.html")

        files = {"page.html": "begun {{ missing }}"}
        async with serving(path("", view), **templates(files=files)) as http:
            assert (await http.get("/")).status_code == 500


class TestEnvironment:
    def test_text_is_escaped(self) -> None:
        assert rendered("{{ name }}", name="<b>") == "&lt;b&gt;"

    def test_text_is_escaped_in_files_of_every_name(self) -> None:
        with override_settings(**templates(files={"page.txt": "{{ name }}"})):
            assert render(None, "page.txt", {"name": "<b>"}).body == b"&lt;b&gt;"

    @pytest.mark.parametrize(
        "text",
        ["{{ misspelt }}", "{% if misspelt %}{% endif %}", "{{ album.misspelt }}"],
    )
    def test_what_is_misspelt_is_an_error(self, text: str) -> None:
        with pytest.raises(UndefinedError, match="misspelt"):
            rendered(text, album=object())

    def test_urls_and_static_files(self) -> None:
        text = "{{ url('album', pk=5) }} {{ url('album', 6) }} {{ static('site.css') }}"
        with settings_for((path("albums/<int:pk>/", rendered, name="album"),), {}):
            assert rendered(text) == "/albums/5/ /albums/6/ /static/site.css"

    @pytest.mark.parametrize("processor", ["some_user", "some_user_asynchronously"])
    async def test_the_request_and_context_processors(self, processor: str) -> None:
        def view(request: Request) -> Response:
            return render(request, "page.html", {"own": 1})

        setting = templates(
            files={"page.html": "{{ request.url.path }} {{ user }} {{ own }}"},
            context_processors=[f"{__name__}.{processor}"],
        )
        async with serving(path("p/", view), **setting) as http:
            assert (await http.get("/p/")).text == "/p/ Nina Simone 1"

    def test_headers_and_content_type(self) -> None:
        with override_settings(**templates(files={"feed.xml": "<feed/>"})):
            response = render(
                None, "feed.xml", content_type="application/xml", headers={"x-a": "b"}
            )
        assert response.headers["content-type"].startswith("application/xml")
        assert response.headers["x-a"] == "b"


def some_user(request: Request) -> dict[str, Any]:
    return {"user": Artist.objects.get_or_create(name="Nina Simone")[0], "own": 2}


async def some_user_asynchronously(request: Request) -> dict[str, Any]:
    return await run(some_user, request)


class TestMistakes:
    def test_a_template_that_is_not_there(self) -> None:
        with override_settings(**templates(files={})):
            with pytest.raises(TemplateDoesNotExist, match=r"page\.html"):
                render(None, "page.html")

    @pytest.mark.parametrize("debug", [False, True])
    def test_a_template_that_is_not_there_is_remembered_without_debug(
        self, debug: bool, tmp_path: Path
    ) -> None:
        settings = [{**ENGINES[0], "DIRS": [tmp_path], "APP_DIRS": False}]
        errors = []
        with override_settings(TEMPLATES=settings, DEBUG=debug):
            engine = engines["templating"]
            for _ in range(2):
                with pytest.raises(TemplateDoesNotExist) as raised:
                    engine.get_template("later.html")
                errors.append(raised.value)
            (tmp_path / "later.html").write_text("here")
            if debug:
                assert engine.get_template("later.html").render() == "here"
            else:
                with pytest.raises(TemplateDoesNotExist):
                    engine.get_template("later.html")
        # The debug page shows where it was looked for.
        assert str(errors[0]) == str(errors[1])
        assert "later.html" in str(errors[1])
        assert errors[0].tried == errors[1].tried
        assert errors[1].tried[0][0].name == str(tmp_path / "later.html")
        assert errors[1].backend is engine

    def test_a_parent_that_is_not_there(self) -> None:
        with pytest.raises(TemplateDoesNotExist, match=r"base\.html"):
            rendered("{% extends 'base.html' %}")

    @pytest.mark.parametrize(
        "files",
        [
            {"page.html": "\n{% if %}"},
            {"page.html": "{% include 'part.html' %}", "part.html": "\n{% if %}"},
        ],
    )
    def test_a_syntax_error_shows_file_and_line(self, files: dict[str, str]) -> None:
        with override_settings(**templates(files=files)):
            with pytest.raises(TemplateSyntaxError) as caught:
                render(None, "page.html")
        debug = caught.value.template_debug  # type: ignore[attr-defined]
        assert debug["line"] == 2
        assert "{% if %}" in debug["during"]

    async def test_an_error_in_the_page_comes_out_as_it_is(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError("in the template")

        with pytest.raises(ZeroDivisionError, match="in the template"):
            await run(rendered, "{{ fail() }}", fail=fail)


# A package, as pip installs it, and an app of the project.
APPS = {"site-packages/packaged": "jinja2", "lib/ours": "templates"}
ENGINES = [
    {"BACKEND": "vinyl.web.templating.Jinja2", "APP_DIRS": True},
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
]


@pytest.fixture
def apps_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for folder, jinja2_folder in APPS.items():
        app = tmp_path / folder
        for name in ("templates", "jinja2"):
            (app / name).mkdir(parents=True)
            (app / name / f"{app.name}_{name}.html").write_text(
                "{{ items.0 }}" if name != jinja2_folder else "{{ items[0] }}"
            )
        (app / "__init__.py").touch()
        monkeypatch.syspath_prepend(str(app.parent))
    with override_settings(
        INSTALLED_APPS=[*settings.INSTALLED_APPS, "packaged", "ours"]
    ):
        yield


@pytest.mark.usefixtures("apps_of_others")
@pytest.mark.parametrize(
    "name", ["packaged_templates.html", "packaged_jinja2.html", "ours_templates.html"]
)
def test_packages_keep_djangos_language(name: str) -> None:
    with override_settings(TEMPLATES=ENGINES):
        template: Any = loader.get_template(name)
        is_djangos = isinstance(template.backend, DjangoTemplates)
        assert is_djangos is (name == "packaged_templates.html")
        assert template.render({"items": ["first"]}) == "first"


@pytest.mark.usefixtures("apps_of_others")
def test_apps_of_the_project_may_keep_it() -> None:
    named = [{**ENGINES[0], "OPTIONS": {"apps": ["records"]}}, ENGINES[1]]
    with override_settings(TEMPLATES=named):
        with pytest.raises(TemplateDoesNotExist):
            engines["templating"].get_template("ours_templates.html")
        # Vinyl's own are found anyway.
        assert engines["templating"].get_template("vinyl/base.html")
