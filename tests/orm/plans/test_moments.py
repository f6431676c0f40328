"""The parameters of parts of dates and moments are those of Django's functions."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.db.models.expressions import Col
from django.db.models.functions import ExtractHour, ExtractMonth, Lower, TruncDate
from django.test import override_settings
from django.utils import timezone

from vinyl.orm.plans.moments import Own, followed, is_followed, now
from vinyl.orm.plans.shapes import Unplannable

pytestmark = pytest.mark.usefixtures("db")


def column(name: str) -> Any:
    field: Any = User._meta.get_field(name)
    return Col("auth_user", field)


def compiler() -> Any:
    return User.objects.all().query.get_compiler("default")


def test_only_functions_of_times_and_of_columns_are_followed() -> None:
    date: Any = followed(TruncDate(column("date_joined")))
    assert is_followed(date)
    assert is_followed(date.copy())
    assert type(date).__name__ == "TruncDate"
    for other in (
        Lower(column("username")),
        TruncDate(F("date_joined")),
        ExtractMonth(date),
    ):
        assert not is_followed(followed(other))


def test_a_parameter_is_that_of_the_time_zone() -> None:
    hour: Any = followed(ExtractHour(column("date_joined")))
    found = []
    for zone in ("UTC", "Asia/Tokyo"):
        with timezone.override(zone):
            sql, params = hour.as_sql(compiler(), connection)
            own = [Own(hour, sql, position) for position in range(len(params))]
            assert [now(one, compiler(), connection) for one in own] == [*params]
            assert zone in params
            found.append(sql)
    assert found[0] == found[1]


def test_without_time_zones_it_is_another_shape(db: str) -> None:
    date: Any = followed(TruncDate(column("date_joined")))
    sql, params = date.as_sql(compiler(), connection)
    own = Own(date, sql, 0)
    with override_settings(USE_TZ=False):
        if db == "postgresql":
            with pytest.raises(Unplannable):
                now(own, compiler(), connection)
        else:
            # Its function takes NULL for no time zone.
            assert now(own, compiler(), connection) is None
    with timezone.override(datetime.UTC):
        assert now(own, compiler(), connection) == "UTC"
