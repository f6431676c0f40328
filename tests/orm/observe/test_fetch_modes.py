"""
`VINYL["TEMPLATE_FETCH_MODE"]` as the default of querysets; the pages are in
tests/web/scenarios/test_fetch_modes.py.
"""

# django-stubs does not know fetch modes, which came with Django 6.1.
# mypy: disable-error-code="attr-defined, comparison-overlap, unreachable"

from __future__ import annotations

import django
import pytest
from django.db.models import query
from django.test import override_settings

from vinyl.orm.observe import fetch_modes

needs_fetch_modes = pytest.mark.skipif(
    django.VERSION < (6, 1), reason="Django 6.1 has fetch modes"
)
PEERS = {"TEMPLATE_FETCH_MODE": "peers"}


def test_django_has_them_since_6_1() -> None:
    assert fetch_modes.are_supported() == (django.VERSION >= (6, 1))
    assert fetch_modes.are_supported() == hasattr(query, "DEFAULT_FETCH_MODE")


def test_without_them_the_setting_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch_modes, "SINCE", (99, 0))
    before = getattr(query, "DEFAULT_FETCH_MODE", None)
    with override_settings(VINYL=PEERS):
        assert getattr(query, "DEFAULT_FETCH_MODE", None) is before


@needs_fetch_modes
def test_the_default_follows_the_setting() -> None:
    from django.db.models.fetch_modes import FETCH_ONE

    assert query.DEFAULT_FETCH_MODE is FETCH_ONE
    with override_settings(VINYL=PEERS):
        assert query.DEFAULT_FETCH_MODE is fetch_modes.PEERS_IN_TEMPLATES
    assert query.DEFAULT_FETCH_MODE is FETCH_ONE


@needs_fetch_modes
def test_a_default_of_the_project_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db.models.fetch_modes import FETCH_PEERS

    monkeypatch.setattr(query, "DEFAULT_FETCH_MODE", FETCH_PEERS)
    with override_settings(VINYL=PEERS):
        assert query.DEFAULT_FETCH_MODE is FETCH_PEERS
