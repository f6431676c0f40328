"""The app "vinyl.web": its patches of Django, and its checks."""

from __future__ import annotations

from functools import partial

import pytest
from django.apps import apps
from django.core import checks

from vinyl.bridge.patching import Patch, resolve
from vinyl.web import apps as module
from vinyl.web import forms, pagination, views
from vinyl.web.apps import VinylWebConfig
from vinyl.web.errors import exception_reporter
from vinyl.web.http import prefix

TABLES = [
    patch
    for table in (exception_reporter, forms, pagination, prefix, views)
    for patch in table.TABLE
]


def test_it_is_installed_under_a_label_of_its_own() -> None:
    config = apps.get_app_config("vinyl_web")
    assert type(config) is VinylWebConfig is module.VinylWebConfig
    assert config.name == "vinyl.web"


@pytest.mark.parametrize("patch", TABLES, ids=lambda patch: patch.owner)
def test_its_patches_are_applied(patch: Patch) -> None:
    owner = resolve(patch.owner)
    # Of an inherited patch, the owner may have only some of the names.
    for name in filter(partial(hasattr, owner), patch.names.split()):
        found = getattr(owner, name)
        code = getattr(getattr(found, "__func__", found), "__code__", None)
        assert code is None or "/vinyl/" in code.co_filename


def test_its_checks_are_registered() -> None:
    modules = {
        check.__module__
        for check in checks.registry.registry.get_checks(include_deployment_checks=True)
    }
    assert {"vinyl.web.checks.settings", "vinyl.web.checks.deploy"} <= modules
