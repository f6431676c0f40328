"""`vinyl watchmodels`: creates triggers, drops them, and says what it did."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.fix_db import only_postgresql, only_sqlite
from tests.orm.live.test_triggers import triggers

pytestmark = pytest.mark.usefixtures("db")


def watchmodels(*args: str) -> str:
    out = StringIO()
    call_command("watchmodels", *args, stdout=out)
    return out.getvalue()


@only_postgresql
class TestPostgreSQL:
    def test_models_and_apps(self) -> None:
        told = watchmodels("records.Album", "records.artist")
        tables = "records_album, records_album_genres, records_artist"
        assert told == f"Changes of {tables} are reported.\n"
        assert triggers() == set(tables.split(", "))
        watchmodels("records")
        assert {"records_memo", "records_track"} < triggers()
        assert "are no longer reported" in watchmodels("records", "--drop")
        assert triggers() == set()

    @pytest.mark.parametrize(
        ("label", "message"),
        [
            ("nothing", "No installed app with label 'nothing'"),
            ("records.Nothing", "doesn't have a 'Nothing' model"),
            ("staticfiles", "has no models with tables"),
        ],
    )
    def test_unknown_labels(self, label: str, message: str) -> None:
        with pytest.raises(CommandError, match=message):
            watchmodels(label)


@only_sqlite
def test_sqlite_needs_no_triggers() -> None:
    with pytest.raises(CommandError, match="watch\\(\\) works without"):
        watchmodels("records")
