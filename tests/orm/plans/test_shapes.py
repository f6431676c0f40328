"""Shapes are forgotten when what they rest on changes, and there is an end to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.models import CharField, Lookup
from django.test import override_settings
from django.test.utils import register_lookup

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Artist
from vinyl.orm.plans import shapes

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class TestForgetting:
    def plan_for(self, make: Callable[[], Any], used: list[str]) -> None:
        for _ in range(3):
            make()
        assert used
        used.clear()

    def test_after_a_change_of_settings(self, used: list[str]) -> None:
        def make() -> Any:
            return list(Album.objects.filter(year=1))

        self.plan_for(make, used)
        with override_settings(TIME_ZONE="Asia/Tokyo"):
            make()
            assert used == []

    def test_after_a_lookup_was_registered(self, used: list[str]) -> None:
        catalogue()

        def make() -> int:
            return Artist.objects.filter(name__exact="Nina Simone").count()

        self.plan_for(make, used)

        class Never(Lookup):
            lookup_name = "exact"

            def as_sql(self, compiler: Any, connection: Any) -> Any:
                return "1 = 0", []

        with register_lookup(CharField, Never):
            assert make() == 0
        assert make() == 1

    def test_with_plans_turned_off(self, used: list[str]) -> None:
        catalogue()
        with override_settings(VINYL={"PLANS": False}):
            for _ in range(4):
                assert len(Album.objects.filter(year=1)) == 1
        assert used == []

    def test_an_error_of_the_database_leaves_no_trace(self, used: list[str]) -> None:
        def make() -> Any:
            return list(Album.objects.filter(year=1))

        make()

        def fail(*args: Any) -> Any:
            raise DatabaseError("gone")

        with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
            make()
        make()
        used.clear()
        make()
        assert used

    def test_there_is_an_end_to_the_shapes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shapes, "MAX_CHILDREN", 5)
        for number in range(10):
            for _ in range(2):
                list(Album.objects.all()[number : number + 1])
        assert len(shapes.root_of(Album)._children) == 5
