"""Cards on the first page: of a project, plain or async, and as the visitor may see."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc, override"

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation
from jinja2 import ChoiceLoader, DictLoader, PackageLoader

from tests.records.models import Album
from tests.web.admin.administering import (
    administering,
    an_album,
    superuser,
    text,
    user,
)
from tests.web.serving import templates
from vinyl.web.admin import AdminSite, Card, ListCard, TemplateCard

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class AsyncSite(AdminSite):
    async def get_cards(self, request: Any) -> Any:
        user = await request.user
        if not await user.has_perm("records.view_album"):
            return []
        latest = await Album.objects.order_by("-pk")[:2]
        return [
            Card("<Albums>", await Album.objects.count(), "/albums/", "<b>more</b>"),
            ListCard("Latest", items=[(album, f"/{album.pk}/") for album in latest]),
        ]


class PlainSite(AdminSite):
    def get_cards(self, request: Any) -> Any:
        yield Card("Albums", Album.objects.count() * 1000)
        yield ListCard("Titles", items=Album.objects.all())
        yield ListCard("Nothing")


async def test_an_async_method_makes_cards_for_those_who_may_see_them() -> None:
    album = await an_album(title="<i>")
    await superuser("ada")
    await user("bob")
    site = AsyncSite()
    async with administering("ada", site=site) as http:
        page = (await http.get("/admin/")).text
    assert '<a href="/albums/">&lt;Albums&gt;</a>' in page
    assert '<p class="value">1</p>' in page
    assert "&lt;b&gt;more&lt;/b&gt;" in page
    assert f'<a href="/{album.pk}/">&lt;i&gt; by Nina Simone</a>' in page
    async with administering("bob", site=site) as http:
        assert "Albums" not in (await http.get("/admin/")).text


async def test_a_plain_method_and_lists_of_objects() -> None:
    await an_album()
    await superuser()
    async with administering(site=PlainSite(), USE_THOUSAND_SEPARATOR=True) as http:
        page = text(await http.get("/admin/"))
        assert "1,000" in page
        assert "Titles Pastel Blues by Nina Simone Nothing None available" in page
        with translation.override("de"):
            assert "1.000" in text(await http.get("/admin/"))


async def test_a_card_with_a_template_of_the_project() -> None:
    class Site(AdminSite):
        def get_cards(self, request: Any) -> Any:
            context = {"bars": [3, 1]}
            return [TemplateCard("Chart", context=context, template_name="chart.html")]

    [engine] = templates(files={})["TEMPLATES"]
    await superuser()
    engine["OPTIONS"]["loader"] = ChoiceLoader(
        [
            DictLoader({"chart.html": "{{ card.context.bars }} for {{ user }}"}),
            PackageLoader("vinyl.web.admin"),
        ]
    )
    async with administering(site=Site(), TEMPLATES=[engine]) as http:
        assert "Chart [3, 1] for ada" in text(await http.get("/admin/"))
