"""What is learned of a query: nothing that grows, and nothing of lookups of others."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from django.db import connection
from django.db.models import CharField
from django.db.models.lookups import Exact
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import register_lookup

from tests.fix_db import only_postgresql
from tests.fix_kills import Killer
from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist
from vinyl.orm import run

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
]


def compilers() -> int:
    """How many of Django's compilers, which hold a connection, are alive."""
    return sum(isinstance(found, SQLCompiler) for found in gc.get_objects())


class TestLearning:
    def test_a_plan_keeps_no_connection_and_does_not_grow(self) -> None:
        artist = catalogue().artist
        gc.collect()
        before = compilers()
        for _ in range(20):
            assert len(Album.objects.filter(artist=artist)) == 3
        gc.collect()
        assert compilers() == before

    def test_making_a_plan_leaves_no_cycles(self, used: list[str]) -> None:
        catalogue()
        gc.collect()
        gc.disable()
        try:
            before = compilers()
            for _ in range(3):
                assert Album.objects.select_related("artist").filter(year=1).get()
            assert compilers() == before
        finally:
            gc.enable()
        assert used

    def test_lookups_of_others_have_no_plan(self, used: list[str]) -> None:
        catalogue()

        class Shouting(Exact):
            def as_sql(self, compiler: Any, connection: Any) -> Any:
                sql, params = super().as_sql(compiler, connection)
                return sql, [str(param).title() for param in params]

        with register_lookup(CharField, Shouting, lookup_name="shouting"):

            def count() -> int:
                return Artist.objects.filter(name__shouting="nina simone").count()

            assert thrice(count, used, planned=False) == 1

    async def test_wrappers_of_the_project_see_each_query_once(self) -> None:
        await run(catalogue)
        seen: list[str] = []

        def wrapper(execute: Any, sql: str, *args: Any) -> Any:
            seen.append(sql)
            return execute(sql, *args)

        with connection.execute_wrapper(wrapper):
            for _ in range(4):
                queries: list[Any] = [Artist.objects.filter(pk=1) for _ in range(5)]
                queries += [Album.objects.filter(year=1).exists() for _ in range(5)]
                await asyncio.gather(*queries)
        assert len(seen) == 40

    @only_postgresql
    async def test_a_lost_connection_does_not_prevent_it(
        self, killer: Killer, used: list[str]
    ) -> None:
        """The query that Django runs to make the plan is run again, too."""
        await Artist.objects.create(name="Nina")

        async def get() -> Artist:
            return await Artist.objects.exclude(name__endswith="x").get(name="Nina")

        await get()
        async with killer.killing():
            await get()
        used.clear()
        await get()
        assert len(used) == 1
