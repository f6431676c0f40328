"""`vinyl check` tells of settings that the web layer cannot work with."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django import VERSION
from django.core import checks
from django.test import override_settings

from tests.web.serving import templates


def issues(**settings: Any) -> dict[str, str]:
    """What the checks report under *settings*: text and hint by id."""
    with override_settings(**settings):
        return {
            str(issue.id): f"{issue.msg} {issue.hint}"
            for issue in checks.run_checks(tags=["vinyl"])
        }


def test_good_settings() -> None:
    assert issues(**templates(files={})) == {}


def test_no_urlconf() -> None:
    assert "'mysite.urls'" in issues(ROOT_URLCONF=None)["vinyl.E101"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (
            "django.middleware.csrf.CsrfViewMiddleware",
            "Use 'vinyl.web.csrf.CSRFMiddleware'.",
        ),
        (
            # Its app is not installed.
            "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
            "install what it needs",
        ),
        ("mysite.middleware.Missing", "Correct the dotted path"),
    ],
)
def test_middleware(name: str, remedy: str) -> None:
    told = issues(MIDDLEWARE=["vinyl.web.csrf.CSRFMiddleware", name])["vinyl.E102"]
    assert name in told
    assert remedy in told


def test_order_of_middleware() -> None:
    sessions = "vinyl.web.sessions.SessionMiddleware"
    users = "vinyl.web.auth.AuthenticationMiddleware"
    required = "vinyl.web.auth.LoginRequiredMiddleware"
    for wrong in ([users], [users, sessions], [sessions, required, users]):
        told = issues(MIDDLEWARE=wrong)["vinyl.E120"]
        assert "List 'vinyl.web." in told
    assert "vinyl.E120" not in issues(MIDDLEWARE=[sessions, users, required])


def test_packages_that_need_the_user() -> None:
    history = "simple_history.middleware.HistoryRequestMiddleware"
    told = issues(MIDDLEWARE=[history])["vinyl.E120"]
    assert "'vinyl.web.auth.AuthenticationMiddleware'" in told


_state = threading.local()


class KeepsState:
    """A middleware of a module with a `threading.local`, for the check below."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)


def test_middleware_that_keeps_state_in_a_thread_local() -> None:
    told = issues(MIDDLEWARE=[f"{__name__}.KeepsState"])["vinyl.W122"]
    assert f"'{__name__}.KeepsState', whose state is in a threading.local" in told


def test_no_engine_of_vinyls() -> None:
    djangos = "django.template.backends.django.DjangoTemplates"
    told = issues(TEMPLATES=[{"BACKEND": djangos}])["vinyl.W101"]
    assert "vinyl.web.templating.Jinja2" in told


@pytest.mark.skipif(VERSION >= (6, 0), reason="Django 6.0 brings CSP")
@pytest.mark.parametrize("name", ["SECURE_CSP", "SECURE_CSP_REPORT_ONLY"])
def test_a_policy_that_is_not_sent(name: str) -> None:
    told = issues(**{name: {"default-src": ["'self'"]}})["vinyl.E103"]
    assert f"settings.{name} is set" in told
    assert "Django 6.0" in told
