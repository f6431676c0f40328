"""`VINYL["LAZY_IN_TEMPLATES"]`: lazy loads of templates, allowed, logged or refused."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from tests.fix_lazy_loads import Reports, rows, visit
from tests.records.models import Album
from tests.web.serving import serving, templates
from vinyl.exceptions import LazyInTemplateError
from vinyl.orm.recording import recording
from vinyl.web import PlainTextResponse, Request, Response, path, render

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.mark.usefixtures("albums")
class TestLazyInTemplates:
    """In production, where no request is recorded in full."""

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
