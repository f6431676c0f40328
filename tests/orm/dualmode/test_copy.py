"""COPY on the event loop."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import psycopg
import pytest
from django.db import DataError

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.orm import connection

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

INSERT = "INSERT INTO records_artist (name) VALUES (%s)"
NAMES = "SELECT name FROM records_artist ORDER BY name"


@only_postgresql
class TestCopy:
    async def test_in_and_out(self) -> None:
        async with connection.cursor() as cursor:
            async with cursor.copy("COPY records_artist (name) FROM STDIN") as copy:
                await copy.write_row(["Nina"])
                await copy.write("Abbey\n")
            async with cursor.copy(f"COPY ({NAMES}) TO STDOUT") as copy:
                assert [row async for row in copy.rows()] == [("Abbey",), ("Nina",)]
            async with cursor.copy(f"COPY ({NAMES}) TO STDOUT") as copy:
                assert b"".join([bytes(b) async for b in copy]) == b"Abbey\nNina\n"

    async def test_an_error_in_the_block_undoes_it(self) -> None:
        async with connection.cursor() as cursor:
            with pytest.raises(LookupError):
                async with cursor.copy("COPY records_artist (name) FROM STDIN") as copy:
                    await copy.write_row(["Nina"])
                    raise LookupError
        assert await Artist.objects.count() == 0

    async def test_the_errors_are_those_of_django(self) -> None:
        async with connection.cursor() as cursor:
            with pytest.raises(DataError, match="too long") as caught:
                async with cursor.copy("COPY records_artist (name) FROM STDIN") as copy:
                    await copy.write_row(["x" * 1000])
            assert isinstance(caught.value.__cause__, psycopg.DataError)
        assert await Artist.objects.count() == 0
