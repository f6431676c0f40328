"""`vinyl watchmodels`: the triggers that report changes of models to `watch()`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

from vinyl.orm.live.tables import tables_of_model
from vinyl.orm.live.triggers import sql_to_unwatch, sql_to_watch

__all__ = ["Command"]


class Command(BaseCommand):
    """Create the triggers of models, or drop them."""

    help = (
        "Creates the triggers that report changes of models to "
        "vinyl.orm.live.watch(), on PostgreSQL. For models with migrations of your "
        "own, prefer the migration operation vinyl.orm.live.WatchModel."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "models",
            nargs="+",
            metavar="app_label[.Model]",
            help="An app, for all of its models, or a model.",
        )
        parser.add_argument(
            "--drop", action="store_true", help="Drop the triggers instead."
        )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help='The alias of the database; "default" if it is not given.',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            raise CommandError(
                f"Database {connection.alias!r} is not PostgreSQL, so it has no "
                f"triggers that could report changes. On SQLite watch() works without."
            )
        sql = sql_to_unwatch if options["drop"] else sql_to_watch
        tables = sorted(
            {
                table
                for label in options["models"]
                for model in found_models(label)
                for table in tables_of_model(model)
            }
        )
        with (
            transaction.atomic(using=connection.alias),
            connection.cursor() as cursor,
        ):
            for table in tables:
                for statement in sql(connection.ops.quote_name(table)):
                    cursor.execute(statement)
        done = "are no longer" if options["drop"] else "are"
        if options["verbosity"]:
            self.stdout.write(f"Changes of {', '.join(tables)} {done} reported.")


def found_models(label: str) -> Iterator[type[models.Model]]:
    """Yield the models that *label*, of an app or a model, stands for."""
    app_label, _, name = label.partition(".")
    try:
        if name:
            yield apps.get_model(app_label, name)
            return
        config = apps.get_app_config(app_label)
    except LookupError as error:
        raise CommandError(f"{error} Write an app label, or app_label.Model.") from None
    # A proxy has the table of its model, and an unmanaged model may have a view.
    managed = [model for model in config.get_models() if model._meta.managed]
    if not managed:
        raise CommandError(f"The app {app_label!r} has no models with tables.")
    yield from managed
