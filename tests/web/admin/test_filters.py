"""Filters of large tables: a bounded number of choices, and a field for the others."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.records.models import Album, Artist, Label
from tests.web.admin.administering import (
    AlbumAdmin,
    administering,
    superuser,
    text,
    user,
)
from vinyl.web.admin import (
    AdminSite,
    ModelAdmin,
    RelatedOnlyFieldListFilter,
    filters,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

LIST = "/admin/records/album/"


class LabelAdmin(ModelAdmin):
    search_fields = ("name",)


def site_with(list_filter: Any, label_admin: Any = LabelAdmin, **options: Any) -> Any:
    attributes = {"list_filter": list_filter, "date_hierarchy": None, **options}
    site = AdminSite()
    site.register(Album, type("Filtered", (AlbumAdmin,), attributes))
    site.register(Label, label_admin)
    return site


@pytest.fixture(autouse=True)
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "MAX_CHOICES", 4)
    monkeypatch.setattr(filters, "SAMPLE", 8)


async def some_albums(labels: int = 6) -> list[Album]:
    artist = await Artist.objects.create(name="Nina Simone")
    return [
        await Album.objects.create(
            title=f"Album {i:02}",
            artist=artist,
            label=await Label.objects.create(name=f"Label {i:02}"),
            year=1955 + i,
        )
        for i in range(labels)
    ]


def shown(page: Any) -> list[str]:
    """The labels in the filter."""
    aside = page.text.partition("<aside")[2]
    return re.findall(r">(Label \d\d(?: \([^<]*\))?)<", aside)


@pytest.mark.parametrize("only", [False, True], ids=["all", "only"])
async def test_many_related_objects_are_found_by_words(
    only: bool, queries: list[str]
) -> None:
    await superuser()
    albums = await some_albums()
    unused = await Label.objects.create(name="Label 99")
    site = site_with([("label", RelatedOnlyFieldListFilter) if only else "label"])
    async with administering(site=site) as http:
        queries.clear()
        page = await http.get(LIST)
        labels = [sql for sql in queries if 'FROM "records_label"' in sql]
        assert labels
        assert all("LIMIT 5" in sql for sql in labels)
        assert shown(page) == []
        assert 'name="_find-label"' in page.text
        # Scripts complete, except where that would offer labels without an album.
        completes = 'data-app-label="records" data-model-name="album"' in page.text
        assert completes is not only
        page = await http.get(f"{LIST}?_find-label=03&year=1958")
        assert shown(page) == ["Label 03"]
        assert '<input type="hidden" name="year" value="1958">' in page.text
        found = await http.get(f"{LIST}?_find-label=99")
        assert shown(found) == ([] if only else [str(unused)])
        # Chosen, and still shown beside what is found next.
        chosen = f"label__id__exact={albums[3].label_id}"
        page = await http.get(f"{LIST}?_find-label=05&{chosen}")
        assert shown(page) == ["Label 03", "Label 05"]
        assert "1 album · 6 total" in text(page)
        assert len(shown(await http.get(f"{LIST}?_find-label=label"))) == 4
        nul = await http.get(f"{LIST}?_find-label=%00")
        assert nul.status_code in (200, 302, 400)
        assert (await http.get(f"{LIST}?label__id__exact=x")).status_code == 302


async def test_few_related_objects_are_listed() -> None:
    await superuser()
    await some_albums(3)
    async with administering(site=site_with(["label"])) as http:
        page = await http.get(LIST)
    assert shown(page) == ["Label 00", "Label 01", "Label 02"]
    assert "_find-label" not in page.text


async def test_without_search_or_permission_the_field_is_for_the_key() -> None:
    await user("ada", "view_album")
    [album, *_] = await some_albums()
    for admin in (LabelAdmin, ModelAdmin):
        async with administering(site=site_with(["label"], admin)) as http:
            page = await http.get(f"{LIST}?_find-label=03")
            assert shown(page) == []
            assert 'type="search" name="label__id__exact"' in page.text
            assert "data-completes-filter" not in page.text
            page = await http.get(f"{LIST}?label__id__exact={album.label_id}")
            assert f'name="label__id__exact" value="{album.label_id}"' in page.text
            assert "1 album · 6 total" in text(page)


async def test_many_values_have_a_field_for_the_others() -> None:
    await superuser()
    await some_albums(6)
    async with administering(site=site_with(["year"])) as http:
        beside = (await http.get(LIST)).text.partition("<aside")[2]
        assert re.findall(r">(\d{4})<", beside) == ["1955", "1956", "1957", "1958"]
        page = await http.get(f"{LIST}?year=1960")
        assert 'type="search" name="year" value="1960"' in page.text
        assert "1 album · 6 total" in text(page)


async def test_the_values_of_a_large_table_are_those_of_its_latest_rows(
    queries: list[str],
) -> None:
    await superuser()
    await some_albums(10)
    await Album.objects.filter(year__gt=1957).update(year=2000)
    async with administering(site=site_with(["year"])) as http:
        queries.clear()
        page = await http.get(LIST)
    beside = page.text.partition("<aside")[2]
    # The first two rows are not among the latest eight.
    assert re.findall(r">(\d{4})<", beside) == ["1957", "2000"]
    assert 'type="search" name="year"' in beside
