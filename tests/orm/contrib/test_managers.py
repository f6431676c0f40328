"""Managers and objects of Django that are awaited under their own names."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import json

import pytest
from django.core import serializers

from tests.records.models import Artist
from vinyl.bridge import mode
from vinyl.bridge.patching import resolve
from vinyl.orm.contrib.managers import TABLE

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def test_each_method_is_dual_mode() -> None:
    methods = [
        getattr(resolve(row.owner), name)
        for row in TABLE
        if row.applies()
        for name in row.names.split()
    ]
    assert methods
    assert all(map(mode.is_dual, methods))


async def test_a_deserialized_object_is_saved() -> None:
    fields = {"name": "Nina Simone"}
    text = json.dumps([{"model": "records.artist", "pk": 1, "fields": fields}])
    for found in serializers.deserialize("json", text):
        await found.save()
    assert (await Artist.objects.get()).name == "Nina Simone"
