"""
Django's security checks with vinyl's middleware. tests/project/test_deploy_check.py
runs all of them on a project.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.checks import check_dependencies
from django.core import checks
from django.core.checks.registry import CheckRegistry
from django.test import override_settings

from vinyl.web.checks.deploy import (
    check_csp,
    middleware_under_djangos_names,
    patch_check,
    replaced_by,
)
from vinyl.web.http import csp
from vinyl.web.security import SecurityMiddleware

OURS = "vinyl.web.security.SecurityMiddleware"
THEIRS = "django.middleware.security.SecurityMiddleware"


class Own(SecurityMiddleware):
    """A project may have a subclass in its place."""


def told(**settings: Any) -> set[str]:
    """The ids of what Django's security checks report."""
    with override_settings(**settings):
        issues = checks.run_checks(
            tags=[checks.Tags.security], include_deployment_checks=True
        )
    return {str(issue.id).removeprefix("security.") for issue in issues}


def test_vinyls_classes_count() -> None:
    assert {"W001", "W002"} <= told(MIDDLEWARE=[])
    assert not {"W001", "W002"} & told(MIDDLEWARE=[OURS])
    assert not {"W001", "W002"} & told(MIDDLEWARE=[f"{__name__}.Own"])


def test_the_settings_are_as_before_when_a_check_has_run() -> None:
    with override_settings(MIDDLEWARE=[OURS]) as _:
        from django.conf import settings

        with pytest.raises(LookupError), middleware_under_djangos_names():
            assert THEIRS in settings.MIDDLEWARE
            raise LookupError
        assert settings.MIDDLEWARE == [OURS]


def test_what_is_replaced() -> None:
    found = [*replaced_by([f"{__name__}.Own"])]
    assert THEIRS in found
    assert "django.middleware.csrf.CsrfViewMiddleware" not in found
    assert [*replaced_by(["tests.nothing.Like"])] == []


def test_messages_name_vinyls_classes_and_keep_the_rest() -> None:
    def check(**kwargs: Any) -> list[checks.CheckMessage]:
        return [
            checks.Warning(f"Add '{THEIRS}' of Django's built-in", hint="h", id="a.W1"),
            checks.Warning("A cookie", id="security.W016"),
        ]

    [issue] = patch_check(check)(app_configs=None)
    assert issue.msg == f"Add '{OURS}' of vinyl's"
    assert (issue.level, issue.hint, issue.id) == (checks.WARNING, "h", "a.W1")


@pytest.mark.parametrize("setting", csp.SETTINGS)
def test_a_policy_that_this_django_cannot_send(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {setting: {"default-src": ["'self'"]}}
    monkeypatch.setattr(csp, "AVAILABLE", False)
    assert check_csp() == []
    with override_settings(**policy):
        [error] = check_csp()
    assert error.id == "vinyl.E103"
    assert f"settings.{setting} is set, but" in error.msg
    monkeypatch.setattr(csp, "AVAILABLE", True)
    with override_settings(**policy):
        assert check_csp() == []


def test_the_checks_of_djangos_admin_accept_vinyls_classes() -> None:
    registry = CheckRegistry()
    registry.register(check_dependencies, "admin")
    processors = (
        "auth.context_processors.auth",
        "messages.context_processors.messages",
    )
    engine = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                *(f"django.contrib.{name}" for name in processors),
            ]
        },
    }
    listed = [
        "vinyl.web.sessions.SessionMiddleware",
        "vinyl.web.auth.AuthenticationMiddleware",
        "vinyl.web.messages.MessagesMiddleware",
    ]
    with override_settings(TEMPLATES=[engine], MIDDLEWARE=listed):
        assert registry.run_checks() == []
    with override_settings(TEMPLATES=[engine], MIDDLEWARE=listed[:1]):
        issues = registry.run_checks(tags=["admin"])
    assert [issue.id for issue in issues] == ["admin.E408", "admin.E409"]
    assert f"'{listed[1]}' must be in MIDDLEWARE" in issues[0].msg
