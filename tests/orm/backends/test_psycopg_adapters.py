"""Times are loaded as Django loads them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import get_adapters_template
from django.test import override_settings
from psycopg.pq import Format
from psycopg.types.string import StrDumper

from tests.fix_db import default_at, only_postgresql
from tests.records.models import Artist
from vinyl.orm.backends.psycopg_adapters import TIMESTAMPTZ, adapters_from, dumper_of

pytestmark = [pytest.mark.usefixtures("db"), only_postgresql]

TIMES = (
    "SELECT TIMESTAMPTZ '2026-07-01 12:00:00.000001+02', TIMESTAMPTZ '0002-01-01Z', "
    "TIMESTAMPTZ '1900-01-01 00:00+00:17', NULL::timestamptz"
)


@pytest.fixture(autouse=True)
def closed(db: str) -> Iterator[None]:
    connection.close()
    yield
    connection.close()


def loaded() -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(TIMES)
        row: tuple[Any, ...] = cursor.fetchone()
    return row


def loaded_by_django(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(
            "vinyl.orm.backends.psycopg.adapters_from", lambda template: template
        )
        row = loaded()
    connection.close()
    return row


@pytest.mark.parametrize(
    ("zone", "uses"),
    [
        (None, True),
        (None, False),
        ("UTC", True),
        ("Etc/UTC", True),
        ("Europe/Paris", True),
        ("Asia/Kolkata", True),
    ],
)
def test_times_are_those_of_django(
    zone: str | None, uses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with default_at(TIME_ZONE=zone), override_settings(USE_TZ=uses):
        expected = loaded_by_django(monkeypatch)
        found = loaded()
    assert [repr(value) for value in found] == [repr(value) for value in expected]


def test_in_utc_they_are_loaded_in_c() -> None:
    loader: Any = adapters_from(get_adapters_template(True, datetime.UTC)).get_loader(
        TIMESTAMPTZ, Format.TEXT
    )
    assert loader.timezone is datetime.UTC
    connection.ensure_connection()
    assert not isinstance(loader(TIMESTAMPTZ, connection.connection), loader)


def test_another_zone_in_the_session_is_as_in_django(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_paris() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'Europe/Paris'")
        return loaded()

    with monkeypatch.context() as patch:
        patch.setattr(
            "vinyl.orm.backends.psycopg.adapters_from", lambda template: template
        )
        expected = in_paris()
    connection.close()
    assert repr(in_paris()) == repr(expected)


class Shouting(StrDumper):
    """What a project may register for a connection that is open."""

    def dump(self, obj: Any) -> Any:
        return super().dump(obj.upper())


def has_artist(name: str) -> bool:
    return Artist.objects.filter(name=name).exists()


def test_dumpers_are_kept_until_another_is_registered() -> None:
    Artist.objects.create(name="NINA")
    for _ in range(4):
        assert not has_artist("nina")
    kept = dumper_of(connection.connection)
    assert not has_artist("nina")
    assert dumper_of(connection.connection) is kept
    connection.connection.adapters.register_dumper(str, Shouting)
    assert has_artist("nina")
    Artist.objects.all().delete()


def test_dumpers_follow_the_encoding_of_the_session() -> None:
    Artist.objects.create(name="Beyoncé")
    for _ in range(4):
        assert has_artist("Beyoncé")
    connection.connection.execute("SET client_encoding TO latin1")
    assert has_artist("Beyoncé")
    connection.connection.execute("SET client_encoding TO utf8")
    assert has_artist("Beyoncé")
    Artist.objects.all().delete()
