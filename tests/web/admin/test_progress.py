"""Actions that show their progress on a page that is streamed."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.records.models import Album
from tests.web.admin.administering import administering, text
from tests.web.admin.test_actions import LIST, some_albums
from vinyl.orm import transaction
from vinyl.web.admin import AdminSite, ModelAdmin, Progress, action
from vinyl.web.admin.progress import _lines

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class Busy(ModelAdmin):
    actions = ("publish", "count", "plain")

    @action(description="Publish %(verbose_name_plural)s")
    async def publish(self, request: Any, queryset: Any) -> AsyncIterator[Any]:
        total = await queryset.count()
        done = 0
        async for album in queryset:
            album.notes = "published"
            await album.save()
            done += 1
            yield Progress(done, total)
        yield "Published <all>."

    def count(self, request: Any, queryset: Any) -> Iterator[Any]:
        for number, _ in enumerate(queryset, 1):
            yield Progress(number)
        yield Progress(3, 4, "nearly")

    def plain(self, request: Any, queryset: Any) -> None:
        self.message_user(request, f"{len(queryset)} rows")


async def test_an_action_that_is_a_generator_shows_its_progress() -> None:
    albums = await some_albums(2)
    site = AdminSite()
    site.register(Album, Busy)
    data = {"index": "0", "_selected_action": [str(album.pk) for album in albums]}
    async with administering(site=site) as http:
        page = await http.post(LIST, data={**data, "action": "publish"})
        assert "Publish albums" in text(page)
        assert "1 of 2 2 of 2 Published <all>." in text(page)
        assert '<progress max="2" value="1">' in page.text
        page = await http.post(LIST, data={**data, "action": "count"})
        assert "1 2 nearly" in text(page)
        page = await http.post(LIST, data={**data, "action": "plain"})
        assert page.status_code == 302
        assert "2 rows" in text(await http.get(LIST))
    assert await Album.objects.filter(notes="published").count() == 2


async def test_a_visitor_who_leaves_ends_the_action_and_its_transaction() -> None:
    await some_albums(1)
    started = asyncio.Event()

    async def steps() -> AsyncIterator[Any]:
        async with transaction.atomic():
            await Album.objects.all().delete()
            started.set()
            yield Progress(1, 2)
            await asyncio.Event().wait()

    lines = _lines(SimpleNamespace(), "head", steps(), "foot")
    assert await anext(lines) == "head"
    assert "1 of 2" in await anext(lines)
    assert started.is_set()
    await lines.aclose()
    assert await Album.objects.count() == 1
