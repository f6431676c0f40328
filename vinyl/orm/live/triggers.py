"""
The triggers that report changes of tables to `watch()`, on PostgreSQL.

Each statement that may have changed a watched table sends the table's name to CHANNEL;
PostgreSQL delivers it with the commit, once for each transaction and table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.migrations.operations.base import Operation

from vinyl.orm.live.tables import name_in_catalog, tables_of_model

__all__ = [
    "CHANNEL",
    "WatchModel",
    "require_triggers",
    "sql_to_unwatch",
    "sql_to_watch",
]

CHANNEL = "vinyl_changes"
# The names of the trigger of each table and of the function that all of them call.
TRIGGER, FUNCTION = "vinyl_changes", "vinyl_notify_changes"


def sql_to_watch(quoted_table: str) -> list[str]:
    """
    Return the statements that create the trigger of a table, if it is not there.

    Args:
        quoted_table: The name of the table, quoted.

    Never switches.
    """
    function = (
        f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql "
        f"AS 'BEGIN PERFORM pg_notify(''{CHANNEL}'', TG_TABLE_NAME); RETURN NULL; END'"
    )
    trigger = (
        f"CREATE OR REPLACE TRIGGER {TRIGGER} "
        f"AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {quoted_table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()"
    )
    return [function, trigger]


def sql_to_unwatch(quoted_table: str) -> list[str]:
    """
    Return the statements that drop the trigger of a table, if it is there, and the
    function, if no other trigger needs it.

    Args:
        quoted_table: The name of the table, quoted.

    Never switches.
    """
    trigger = f"DROP TRIGGER IF EXISTS {TRIGGER} ON {quoted_table}"
    function = (
        f"DO 'BEGIN IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = "
        f"to_regproc(''{FUNCTION}'')) THEN DROP FUNCTION IF EXISTS {FUNCTION}(); "
        f"END IF; END'"
    )
    return [trigger, function]


def require_triggers(alias: str, tables: Iterable[str]) -> None:
    """
    Check that each of *tables* reports its changes.

    Args:
        alias: The alias of the database that has them.

    Raises:
        ImproperlyConfigured: A table has no trigger, or a disabled one.

    Switches to the event loop in the bridge.
    """
    names = sorted(map(name_in_catalog, tables))
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE tgname = %s AND tgenabled <> 'D' AND relname = ANY(%s)",
            [TRIGGER, names],
        )
        found = {name for (name,) in cursor.fetchall()}
    if missing := [name for name in names if name not in found]:
        raise ImproperlyConfigured(
            f"watch() was given a queryset that reads {', '.join(missing)}, but no "
            f"trigger reports changes there, so it would miss them. Add "
            f"vinyl.orm.live.WatchModel() to a migration, run `vinyl watchmodels`, or "
            f"pass the models to watch as `models`."
        )


class WatchModel(Operation):
    """
    A migration operation that has the database report changes of a model to `watch()`:

        operations = [WatchModel("review")]

    It creates a trigger on the model's table and on those of its many-to-many fields,
    on PostgreSQL, and does nothing on other databases. Unapplying the migration drops
    the triggers. A model whose table is renamed keeps its trigger.

    Args:
        name: The name of the model, in the migration's app.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, name: str) -> None:
        self.name = name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Models do not change. Never switches."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._execute(sql_to_watch, app_label, schema_editor, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._execute(sql_to_unwatch, app_label, schema_editor, to_state)

    def _execute(
        self, sql: Any, app_label: str, schema_editor: Any, state: Any
    ) -> None:
        connection = schema_editor.connection
        model = state.apps.get_model(app_label, self.name)
        if connection.vendor == "postgresql" and self.allow_migrate_model(
            connection.alias, model
        ):
            for table in tables_of_model(model):
                for statement in sql(schema_editor.quote_name(table)):
                    schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        return f"Report changes of {self.name} to watch()"

    @property
    def migration_name_fragment(self) -> str:
        return f"watch_{self.name.lower()}"
