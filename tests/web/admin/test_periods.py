"""The links of `date_hierarchy`: the same as Django's, looked up in an index."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.templatetags import admin_list
from django.contrib.sessions.models import Session
from django.test import override_settings

from tests.records.models import Album
from vinyl.orm import run
from vinyl.web.admin import periods

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def changelist(**params: str) -> Any:
    rows = Session.objects.filter(
        **{f"expire_date__{key}": int(value) for key, value in params.items()}
    )
    return SimpleNamespace(
        date_hierarchy="expire_date",
        model=Session,
        params={f"expire_date__{key}": value for key, value in params.items()},
        queryset=rows,
        get_query_string=lambda new, remove: str({**new, "without": remove}),
    )


MOMENTS = [
    (2023, 12, 31, 23, 30),
    (2024, 1, 1, 0, 0),
    (2024, 2, 29, 12, 0),
    (2024, 2, 29, 13, 0),
    (2024, 10, 27, 1, 30),
    (2026, 3, 1, 0, 0),
]


async def sessions(*moments: tuple[int, ...]) -> None:
    for i, moment in enumerate(moments):
        await Session.objects.create(
            session_key=str(i),
            session_data="",
            expire_date=datetime.datetime(*moment, tzinfo=datetime.UTC),  # type: ignore[arg-type]  # a tuple of any length
        )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
async def test_the_same_links_as_djangos(zone: str, queries: list[str]) -> None:
    await sessions(*MOMENTS)
    for params in (
        {},
        {"year": "2023"},
        {"year": "2024"},
        {"year": "2026"},
        {"year": "2024", "month": "2"},
        {"year": "2024", "month": "2", "day": "29"},
        {"year": "1999"},
    ):
        with override_settings(TIME_ZONE=zone, USE_TZ=True):
            expected = await run(admin_list.date_hierarchy, changelist(**params))
            queries.clear()
            found = await run(periods.date_hierarchy, changelist(**params))
        assert found == expected
        assert not [sql for sql in queries if "DISTINCT" in sql]
        assert len(queries) <= 3


async def test_an_empty_table_and_the_last_day_of_all() -> None:
    assert (await run(periods.date_hierarchy, changelist()))["choices"] == []
    await sessions((9999, 12, 30, 0, 0), (9998, 1, 1, 0, 0))
    with override_settings(TIME_ZONE="UTC", USE_TZ=True):
        for params in ({}, {"year": "9999", "month": "12"}):
            links = await run(periods.date_hierarchy, changelist(**params))
            assert len(links["choices"]) == (1 if params else 2)


async def test_a_date_far_from_the_others_is_found_by_hops(queries: list[str]) -> None:
    await sessions(*MOMENTS, (9000, 1, 1, 0, 0), (1800, 1, 1, 0, 0))
    queries.clear()
    with override_settings(TIME_ZONE="UTC", USE_TZ=True):
        links = await run(periods.date_hierarchy, changelist())
    years = [choice["title"] for choice in links["choices"]]
    assert years == ["1800", "2023", "2024", "2026", "9000"]
    assert len(queries) == 7


async def test_a_field_without_an_index_is_read_as_in_django() -> None:
    rows = SimpleNamespace(
        date_hierarchy="released",
        model=Album,
        params={},
        queryset=Album.objects.all(),
        get_query_string=lambda *args: "",
    )
    assert (await run(periods.date_hierarchy, rows))["choices"] == []
