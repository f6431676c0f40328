"""The triggers, and the migration operation that creates and drops them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import OperationWriter

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist, Genre, Label
from vinyl.orm import connection
from vinyl.orm.live import WatchModel
from vinyl.orm.live.triggers import CHANNEL, sql_to_unwatch, sql_to_watch

pytestmark = pytest.mark.usefixtures("db")


def triggers() -> set[str]:
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = "
            "'vinyl_changes'"
        )
        return {name for (name,) in cursor.fetchall()}


def functions() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_proc WHERE proname = 'vinyl_notify_changes'"
        )
        count: int = cursor.fetchone()[0]
    return count


class TestWatchModel:
    @staticmethod
    def state() -> ProjectState:
        state = ProjectState()
        for model in (Artist, Label, Genre, Album):
            state.add_model(ModelState.from_model(model))
        state.clear_delayed_apps_cache()
        return state

    @only_postgresql
    def test_forwards_twice_and_backwards(self) -> None:
        operation = WatchModel("album")
        state = self.state()
        for name, there in [
            ("database_forwards", True),
            ("database_forwards", True),
            ("database_backwards", False),
            ("database_backwards", False),
        ]:
            with connections["default"].schema_editor() as editor:
                getattr(operation, name)("records", editor, state, state)
            tables = {"records_album", "records_album_genres"} if there else set()
            assert triggers() == tables
            assert functions() == there

    @only_postgresql
    def test_the_function_stays_while_it_is_needed(self) -> None:
        state = self.state()
        for name in ("artist", "label"):
            with connections["default"].schema_editor() as editor:
                WatchModel(name).database_forwards("records", editor, state, state)
        for name, left in [("artist", {"records_label"}), ("label", set())]:
            with connections["default"].schema_editor() as editor:
                WatchModel(name).database_backwards("records", editor, state, state)
            assert triggers() == left
            assert functions() == bool(left)

    @only_postgresql
    def test_a_database_that_the_router_refuses_has_none(
        self, settings_of: Any
    ) -> None:
        state = self.state()
        with connections["default"].schema_editor() as editor:
            WatchModel("artist").database_forwards("records", editor, state, state)
        assert triggers() == set()

    def test_on_other_databases_it_does_nothing(self, db: str) -> None:
        if db == "postgresql":
            pytest.skip("It does something there.")
        state = self.state()
        with connections["default"].schema_editor() as editor:
            WatchModel("artist").database_forwards("records", editor, state, state)
            WatchModel("artist").database_backwards("records", editor, state, state)

    @pytest.mark.parametrize("db", ["sqlite"], indirect=True)
    def test_as_it_is_written_into_a_migration(self) -> None:
        text, imports = OperationWriter(WatchModel("album"), indentation=0).serialize()
        assert "WatchModel(" in text
        assert "name='album'" in text
        assert WatchModel("Album").migration_name_fragment == "watch_album"
        assert WatchModel("album").describe() == "Report changes of album to watch()"


@pytest.fixture
def settings_of(db: str) -> Any:
    from django.test import override_settings

    with override_settings(DATABASE_ROUTERS=[Refusing()]):
        yield


class Refusing:
    """A router of a project that has the models in another database."""

    def allow_migrate(self, *args: Any, **hints: Any) -> bool:
        return False


@only_postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO records_artist (name) VALUES ('Nina'), ('Nora')",
        "UPDATE records_artist SET name = 'Nora'",
        "DELETE FROM records_artist",
        "TRUNCATE records_artist CASCADE",
    ],
)
def test_each_kind_of_statement_is_reported_once(statement: str) -> None:
    def execute(statements: list[str]) -> None:
        with connections["default"].cursor() as cursor:
            for each in statements:
                cursor.execute(each)

    execute(sql_to_watch('"records_artist"'))
    try:
        with connection.listen(CHANNEL, timeout=0.1) as notifications:
            execute([statement])
            assert [each.payload for each in notifications] == ["records_artist"]
    finally:
        execute(sql_to_unwatch('"records_artist"'))
