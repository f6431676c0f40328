"""Async functions where Django calls plain ones: commands and migrations."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc, override"

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import AppCommand, BaseCommand, LabelCommand
from django.db import connection, transaction
from django.db.migrations import RunPython
from django.db.migrations.state import ProjectState

from tests.records.models import Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run

pytestmark = pytest.mark.usefixtures("db")


class AddArtist(BaseCommand):
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("name")

    async def handle(self, *args: Any, **options: Any) -> str:
        artist = await Artist.objects.create(name=options["name"])
        return f"Added {artist.name}."


class AddArtists(LabelCommand):
    async def handle_label(self, label: str, **options: Any) -> str:
        return (await Artist.objects.create(name=label)).name


class CountModels(AppCommand):
    async def handle_app_config(self, app_config: Any, **options: Any) -> str:
        return f"{len(list(app_config.get_models()))}, {await Artist.objects.count()}"


class Overriding(AddArtist):
    async def handle(self, *args: Any, **options: Any) -> str:
        return "Overriding: " + await super().handle(*args, **options)


def call(command: BaseCommand, *args: str) -> str:
    out = StringIO()
    call_command(command, *args, stdout=out)
    return out.getvalue()


class TestCommands:
    def test_handle_may_be_async(self) -> None:
        assert call(AddArtist(), "Nina") == "Added Nina.\n"
        assert Artist.objects.get().name == "Nina"

    def test_so_may_that_of_a_subclass(self) -> None:
        assert call(Overriding(), "Nina") == "Overriding: Added Nina.\n"

    def test_labels(self) -> None:
        assert call(AddArtists(), "Nina", "Abbey") == "Nina\nAbbey\n"
        assert Artist.objects.count() == 2

    def test_apps(self) -> None:
        models = len(list(apps.get_app_config("records").get_models()))
        assert call(CountModels(), "records") == f"{models}, 0\n"

    def test_it_takes_part_in_the_transaction_around_it(self) -> None:
        with transaction.atomic():
            Artist.objects.create(name="Nina")
            call(AddArtist(), "Abbey")
            assert Artist.objects.count() == 2
            transaction.set_rollback(True)
        assert not Artist.objects.exists()

    def test_an_error_is_that_of_the_command(self) -> None:
        class Failing(BaseCommand):
            async def handle(self, *args: Any, **options: Any) -> str:
                raise LookupError("No such record.")

        with pytest.raises(LookupError, match="No such record"):
            call(Failing())

    async def test_it_runs_in_the_bridge(self) -> None:
        assert await run(call, AddArtist(), "Nina") == "Added Nina.\n"
        assert await Artist.objects.count() == 1

    async def test_async_code_may_await_handle(self) -> None:
        assert await AddArtist().handle(name="Nina") == "Added Nina."

    async def test_on_the_event_loop_the_call_is_refused(self) -> None:
        with pytest.raises(NotAwaitedError):
            call(AddArtist(), "Nina")


async def add(apps: Any, schema_editor: Any) -> None:
    model = apps.get_model("records", "Artist")
    await model.objects.create(name="Nina")
    assert await model.objects.count() == 1


async def remove(apps: Any, schema_editor: Any) -> None:
    await apps.get_model("records", "Artist").objects.all().delete()


def plain(apps: Any, schema_editor: Any) -> Any:
    # Migrations may return anything; a queryset can be awaited, but is no coroutine.
    return apps.get_model("records", "Artist").objects.all()


def migrate(operation: RunPython, *, backwards: bool = False) -> None:
    state = ProjectState.from_apps(apps)
    with connection.schema_editor(atomic=operation.atomic is not False) as editor:
        method = "database_backwards" if backwards else "database_forwards"
        getattr(operation, method)("records", editor, state, state)


class TestMigrations:
    @pytest.mark.parametrize("atomic", [True, False])
    def test_async_functions_are_awaited(self, atomic: bool) -> None:
        operation = RunPython(add, remove, atomic=atomic)
        migrate(operation)
        assert Artist.objects.get().name == "Nina"
        migrate(operation, backwards=True)
        assert not Artist.objects.exists()
        # What makemigrations and squashmigrations write stays the same.
        assert operation.deconstruct()[2]["code"] is add

    def test_plain_functions_are_called_as_ever(self) -> None:
        migrate(RunPython(plain))

    def test_an_error_rolls_the_migration_back(self) -> None:
        async def fail(apps: Any, schema_editor: Any) -> None:
            await add(apps, schema_editor)
            raise LookupError("No such record.")

        with pytest.raises(LookupError):
            migrate(RunPython(fail))
        assert not Artist.objects.exists()

    def test_one_without_reverse_code_is_irreversible(self) -> None:
        with pytest.raises(NotImplementedError):
            migrate(RunPython(add), backwards=True)

    async def test_they_run_in_the_bridge(self) -> None:
        await run(migrate, RunPython(add))
        assert (await Artist.objects.get()).name == "Nina"
