"""Django's shortcuts, in both modes."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import pytest
from django.http import Http404

from tests.records.models import Artist
from vinyl.web.shortcuts import (
    aget_list_or_404,
    aget_object_or_404,
    get_list_or_404,
    get_object_or_404,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_djangos_async_shortcuts() -> None:
    artist = await Artist.objects.create(name="Nina Simone")
    assert await aget_object_or_404(Artist, pk=artist.pk) == artist
    assert await aget_list_or_404(Artist, name__startswith="N") == [artist]
    for call in (aget_object_or_404, aget_list_or_404):
        with pytest.raises(Http404, match="matches the given query"):
            await call(Artist, pk="9" * 40)


class TestBothModes:
    async def test_awaited_on_the_event_loop(self) -> None:
        artist = await Artist.objects.create(name="Nina Simone")
        assert await get_object_or_404(Artist, name="Nina Simone") == artist
        assert await get_list_or_404(Artist.objects.order_by("pk")) == [artist]
        for call in (get_object_or_404, get_list_or_404):
            with pytest.raises(Http404, match="No Artist matches"):
                await call(Artist, name="nobody")

    def test_plain_elsewhere(self) -> None:
        artist = Artist.objects.create(name="Nina Simone")
        assert get_object_or_404(Artist, name="Nina Simone") == artist
        assert get_list_or_404(Artist, name="Nina Simone") == [artist]
        for call in (get_object_or_404, get_list_or_404):
            with pytest.raises(Http404, match="No Artist matches"):
                call(Artist, name="nobody")
