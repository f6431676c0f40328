"""Recordings: which queries are in them, and what they tell of each."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="call-overload, misc"

from __future__ import annotations

import asyncio

import pytest
from django.db import IntegrityError, connections
from django.db.backends.utils import CursorWrapper
from django.test import override_settings

from tests.fix_observing import INSERT, Call, execute
from tests.records.models import Artist
from vinyl.orm import run
from vinyl.orm.observe import recorder
from vinyl.orm.plans.trails import is_enabled
from vinyl.orm.recording import current_recording, recording


class TestCounting:
    def test_queries_are_counted_and_timed(self, call: Call) -> None:
        def work() -> None:
            execute("SELECT 1")
            execute("SELECT 2")

        with recording() as record:
            call(work)
            assert record.count == 2
            assert 0 < record.seconds < 5
        assert record.queries == []
        call(work)
        assert record.count == 2

    def test_one_that_fails_is_counted(self, call: Call) -> None:
        call(lambda: execute(INSERT, ["Nina Simone"]))
        with recording(full=True) as record:
            with pytest.raises(IntegrityError):
                call(lambda: execute(INSERT, ["Nina Simone"]))
        assert record.count == 1
        assert record.queries[0].outcome.startswith("failed with ")

    def test_blocks_nest(self, call: Call) -> None:
        with recording() as outer:
            call(lambda: execute("SELECT 1"))
            with recording(full=True) as inner:
                assert current_recording() is inner
                call(lambda: execute("SELECT 2"))
            with recording():
                assert current_recording() is not outer
            assert current_recording() is outer
        assert (outer.count, inner.count) == (2, 1)
        assert outer.queries == []
        assert [query.sql for query in inner.queries] == ["SELECT 2"]
        assert current_recording() is None

    def test_the_request_s_full_one_is_the_current_one(self) -> None:
        with recording(full=True) as full, recording():
            assert current_recording() is full

    def test_of_very_many_the_first_are_kept(
        self, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vinyl.orm.recording import Recording

        monkeypatch.setattr(Recording, "MOST_QUERIES", 2)
        with recording(full=True) as record:
            for number in range(4):
                call(lambda: execute(f"SELECT {number}"))  # noqa: B023
        assert record.count == 4
        assert [query.sql for query in record.queries] == ["SELECT 0", "SELECT 1"]


@pytest.mark.anyio
@pytest.mark.usefixtures("db")
class TestConcurrency:
    async def test_tasks_of_the_block_are_in_it_and_others_are_not(self) -> None:
        both_inside = asyncio.Barrier(2)

        async def request(numbers: range) -> list[str]:
            with recording(full=True) as record:
                await both_inside.wait()
                await asyncio.gather(
                    *(run(execute, f"SELECT {number}") for number in numbers)
                )
                await both_inside.wait()
            return sorted(query.sql for query in record.queries)

        one, other = await asyncio.gather(request(range(3)), request(range(3, 6)))
        assert one == ["SELECT 0", "SELECT 1", "SELECT 2"]
        assert other == ["SELECT 3", "SELECT 4", "SELECT 5"]

    async def test_a_task_that_outlives_the_block_adds_nothing(self) -> None:
        ended = asyncio.Event()

        async def later() -> None:
            await ended.wait()
            await Artist.objects.count()

        with recording(full=True) as record:
            task = asyncio.create_task(later())
        ended.set()
        await task
        assert (record.count, record.queries) == (0, [])


class TestDetails:
    def test_each_query_has_its_details(self, call: Call) -> None:
        with recording(full=True) as record:
            call(lambda: execute(INSERT, ["<b>Nina</b>"]))
        [query] = record.queries
        assert (query.alias, query.sql, query.outcome) == ("default", INSERT, "done")
        assert query.params == "parameters: ['<b>Nina</b>']"
        assert query.seconds == record.seconds

    def test_equal_queries_have_equal_keys(self, call: Call) -> None:
        sql = "SELECT name FROM records_artist WHERE name = %s"
        with recording(full=True) as record:
            for name in ("Nina", "Nina", "Nina " * 100 + "1", "Nina " * 100 + "2"):
                call(lambda: execute(sql, [name]))  # noqa: B023
        keys = [query.key for query in record.queries]
        assert keys[0] == keys[1]
        # Although what is shown of them is the same.
        assert len(set(keys)) == 3

    def test_parameters_from_an_iterator_are_left_to_it(self, db: str) -> None:
        with recording(full=True) as record:
            execute(INSERT, iter([["a"], ["b"]]), many=True)
        assert record.queries[0].params == "parameters from an iterator"
        assert Artist.objects.count() == 2


def observed() -> bool:
    """Whether lazy loads are observed."""
    return recorder.observes_loads


class TestLazyLoads:
    def test_are_observed_until_the_last_full_recording_ends(self) -> None:
        with recording():
            assert not observed()
        with recording(full=True):
            with recording(full=True):
                assert observed()
            assert observed()
        assert not observed()

    def test_are_always_observed_if_the_settings_ask_for_it(self) -> None:
        with override_settings(VINYL={"LAZY_IN_TEMPLATES": "warn"}):
            with recording(full=True):
                pass
            assert observed()
        assert not observed()

    def test_plans_are_used_again_after_a_recording(self, db: str) -> None:
        assert is_enabled()
        with recording(full=True):
            assert not is_enabled()
        assert is_enabled()


class TestCost:
    def test_without_a_recording_the_method_is_djangos(self, db: str) -> None:
        with recording():
            execute("SELECT 1")
        with override_settings(VINYL={"OPENTELEMETRY": False}):
            method = CursorWrapper.__dict__["_execute_with_wrappers"]
            assert method.__module__ == "django.db.backends.utils"
            # And the next one is heard again.
            with recording() as record, connections["default"].cursor() as cursor:
                cursor.execute("SELECT 1")
            assert record.count == 1

    def test_settings_that_change_leave_a_recording_alone(self, db: str) -> None:
        with recording() as record:
            with override_settings(VINYL={"OPENTELEMETRY": False}):
                execute("SELECT 1")
            execute("SELECT 2")
        assert record.count == 2
