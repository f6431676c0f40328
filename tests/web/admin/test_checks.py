"""The checks of what the admin needs, and of the options of its models."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core import checks
from django.test import override_settings

from tests.web.admin.administering import MIDDLEWARE, site_of_records
from vinyl.orm import run
from vinyl.web.admin.checks import check_dependencies, check_middleware
from vinyl.web.sessions import SessionMiddleware

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def test_the_checks_report_missing_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without those of other tests.
    monkeypatch.setattr("django.contrib.admin.sites.all_sites", [admin.site])
    assert check_dependencies() == []
    with override_settings(MIDDLEWARE=MIDDLEWARE):
        assert checks.run_checks(tags=[checks.Tags.admin]) == []
    installed = ["vinyl.orm", "vinyl.web", "django.contrib.contenttypes"]
    installed += ["django.contrib.auth", "vinyl.web.admin"]
    with override_settings(INSTALLED_APPS=installed):
        [error] = check_dependencies()
    assert (error.id, error.hint) == ("vinyl.E141", "Add 'django.contrib.messages'.")
    with override_settings(MIDDLEWARE=[*MIDDLEWARE, "tests.nothing.Like"]):
        assert check_middleware() == []
    own = f"{__name__}.OwnSessions"
    with override_settings(MIDDLEWARE=[own, *MIDDLEWARE[1:2]]):
        [error] = check_middleware()
    assert error.id == "vinyl.E142"
    assert "'vinyl.web.messages.MessagesMiddleware'" in error.msg


class OwnSessions(SessionMiddleware):
    """A project may have a subclass in its place."""


async def test_a_site_checks_the_options_of_its_models() -> None:
    site = site_of_records()
    site.register(LogEntry, list_display=["nothing_like_it"])
    errors = await run(site.check, None)
    assert [error.id for error in errors] == ["admin.E108"]
