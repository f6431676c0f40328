"""The links of Django's views and widgets in the admin: cached, and those of Django."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import sites
from django.test import RequestFactory
from django.urls import reverse as djangos_reverse

from tests.web.admin.administering import administering, an_album, site, superuser
from vinyl.orm import run
from vinyl.web.templating import links

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_a_page_is_made_again_without_django_making_its_links(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await superuser()
    album = await an_album()
    made: list[str] = []

    def counted(name: Any, *args: Any, **kwargs: Any) -> str:
        made.append(name)
        return djangos_reverse(name, *args, **kwargs)

    monkeypatch.setattr(links, "djangos_reverse", counted)
    async with administering() as http:
        url = f"/admin/records/album/{album.pk}/change/"
        first = await http.get(url)
        assert "admin:records_label_add" in made
        made.clear()
        again = await http.get(url)
    assert first.text == again.text
    assert 'href="/admin/records/label/add/' in again.text
    assert made == []


async def test_the_links_of_the_models_are_those_of_django(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request: Any = RequestFactory().get("/")
    request.user = await superuser()

    def models() -> list[Any]:
        return [app["models"] for app in site.get_app_list(request)]

    async with administering():
        found = await run(models)
        monkeypatch.setattr(sites, "reverse", djangos_reverse)
        assert found == await run(models)
    [records] = found
    assert "/admin/records/album/" in [model["admin_url"] for model in records]
