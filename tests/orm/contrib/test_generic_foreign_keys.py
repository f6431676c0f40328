"""Generic foreign keys, in a process that does not know their content types yet."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, comparison-overlap, func-returns-value"
# mypy: disable-error-code="misc, unreachable"

from __future__ import annotations

import pickle
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType

from tests.fix_content_types import cold
from tests.records.models import Album, Artist, Tag
from vinyl.orm import NotFetched, fetch, run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TestSettingATarget:
    def unknown(self, shop: Any) -> Tag:
        cold()
        return Tag(word="new", target=shop.album)

    async def expected(self) -> int:
        return (await run(ContentType.objects.get_for_model, Album)).pk

    async def test_is_saved(self, shop: Any) -> None:
        tag = self.unknown(shop)
        assert tag.target is shop.album
        await tag.save()
        again = await Tag.objects.get(pk=tag.pk)
        assert await again.target == shop.album
        assert tag.content_type_id == await self.expected()
        assert await tag.content_type == await again.content_type

    async def test_is_validated(self, shop: Any) -> None:
        tag = self.unknown(shop)
        await tag.full_clean()
        assert tag.content_type_id == await self.expected()

    async def test_is_a_lazy_attribute_until_then(self, shop: Any) -> None:
        tag = self.unknown(shop)
        assert isinstance(tag.content_type_id, NotFetched)
        assert isinstance(tag.content_type, NotFetched)
        assert await tag.content_type_id == await self.expected()
        assert tag.content_type_id == await self.expected()
        tag = self.unknown(shop)
        assert (await fetch(tag, "content_type")).model == "album"

    async def test_is_saved_in_bulk(self, shop: Any) -> None:
        await Tag.objects.bulk_create([self.unknown(shop), self.unknown(shop)])
        cold()
        assert await shop.album.tags.filter(word="new").count() == 2

    async def test_changes_what_was_loaded(self, shop: Any) -> None:
        tag = await Tag.objects.select_related("content_type").get()
        cold()
        tag.target = shop.artist
        assert tag.target is shop.artist
        await tag.save()
        again = await Tag.objects.get()
        assert await again.target == shop.artist
        assert (await tag.content_type).model == "artist"

    async def test_changes_some_fields(self, shop: Any) -> None:
        cold()
        shop.tag.target = shop.artist
        await shop.tag.save(update_fields=["content_type", "object_id"])
        cold()
        shop.tag.target = shop.album
        await Tag.objects.bulk_update([shop.tag], ["content_type", "object_id"])
        assert await (await Tag.objects.get()).target == shop.album

    async def test_survives_a_cache(self, shop: Any) -> None:
        tag = pickle.loads(pickle.dumps(self.unknown(shop)))
        assert "content_type_id" not in vars(tag)
        cold()
        assert tag.target == shop.album
        await tag.save()
        assert await (await Tag.objects.get(pk=tag.pk)).target == shop.album

    async def test_is_read_in_sync_code_as_ever(self, shop: Any) -> None:
        tag = self.unknown(shop)
        assert await run(lambda: tag.content_type.model) == "album"
        tag = self.unknown(shop)
        tag.content_type = await ContentType.objects.aget(model="artist")
        tag.object_id = shop.artist.pk
        assert await tag.target == shop.artist

    async def test_is_reset_by_refresh_from_db(self, shop: Any) -> None:
        cold()
        shop.tag.target = shop.artist
        await shop.tag.refresh_from_db()
        assert await shop.tag.target == shop.album

    async def test_to_none_or_to_no_model_is_as_in_django(self, shop: Any) -> None:
        cold()
        tag = Tag(word="x", target=None)
        assert (tag.content_type_id, tag.target) == (None, None)
        with pytest.raises(AttributeError, match="_state"):
            tag.target = "text"

    async def test_is_fetched_if_the_content_type_changed(self, shop: Any) -> None:
        tag = await Tag.objects.prefetch_related("target").get()
        artists = await run(ContentType.objects.get_for_model, Artist)
        cold()
        tag.content_type_id = artists.pk
        tag.object_id = shop.artist.pk
        assert await tag.target == shop.artist


async def test_a_key_that_has_changed_is_followed(shop: Any) -> None:
    other = await Album.objects.get(title="Untagged")
    assert await shop.tag.target == shop.album
    shop.tag.object_id = other.pk
    assert await shop.tag.target == other
    assert shop.tag.target == other
