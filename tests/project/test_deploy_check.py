"""`vinyl check --deploy` tells of each weakness of a site, and of nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.terminal import new_project, vinyl

HARDENED = """
import os

os.environ["DEBUG"] = "0"
from mysite.settings import *

SECRET_KEY = "gUvqE7bXoT2mZ4nC8pWsA6yRkL1dF9hJ3eQxVtNz5iBcMaOuYw0"
ALLOWED_HOSTS = ["shop.example.org"]
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
SILENCED_SYSTEM_CHECKS = []
"""

SECURITY = "vinyl.web.security.SecurityMiddleware"
CSRF = "vinyl.web.csrf.CSRFMiddleware"
# What the admin needs.
USERS = (
    "'vinyl.web.sessions.SessionMiddleware', 'vinyl.web.auth.AuthenticationMiddleware',"
    "'vinyl.web.messages.MessagesMiddleware'"
)

# Lines for the settings, each with what the check then says.
WEAKNESSES: dict[str, dict[str, set[str]]] = {
    "settings": {
        "SECURE_HSTS_SECONDS = 0": {"W004"},
        "SECURE_CONTENT_TYPE_NOSNIFF = False": {"W006"},
        "SECURE_SSL_REDIRECT = False": {"W008"},
        "SECRET_KEY = 'django-insecure-' + SECRET_KEY": {"W009"},
        "DEBUG = True": {"W018"},
        "X_FRAME_OPTIONS = 'SAMEORIGIN'": {"W019"},
        "ALLOWED_HOSTS = []": {"W020"},
        "SECURE_REFERRER_POLICY = None": {"W022"},
        "SECRET_KEY_FALLBACKS = ['short']": {"W025"},
    },
    "values": {
        "SECURE_HSTS_INCLUDE_SUBDOMAINS = False": {"W005"},
        "SECURE_HSTS_PRELOAD = False": {"W021"},
        "SECURE_REFERRER_POLICY = 'rubbish'": {"E023"},
        "SECURE_CROSS_ORIGIN_OPENER_POLICY = 'rubbish'": {"E024"},
        "CSRF_FAILURE_VIEW = 'missing.view'": {"E102"},
    },
    "sessions": {
        "SESSION_COOKIE_SECURE = False": {"W012"},
        "SESSION_COOKIE_HTTPONLY = False": {"W015"},
    },
    "middleware": {f"MIDDLEWARE = [{USERS}]": {"W001", "W002", "W003"}},
    "subclass": {
        f"MIDDLEWARE = ['mysite.own.Security', 'mysite.own.CSRF', {USERS}]": set(),
        "X_FRAME_OPTIONS = 'SAMEORIGIN'": {"W019"},
    },
}

OWN = """
from vinyl.web.csrf import CSRFMiddleware
from vinyl.web.security import SecurityMiddleware


class Security(SecurityMiddleware):
    pass


class CSRF(CSRFMiddleware):
    pass
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy")
    new_project(folder)
    return folder / "mysite"


def check(project: Path, *lines: str, fails: bool = False) -> str:
    settings = "\n".join([HARDENED, *lines])
    (project / "deployed.py").write_text(settings)
    options = ("--deploy", "--settings=deployed")
    return vinyl("check", *options, cwd=project, fails=fails)


def test_a_hardened_site_has_no_warning(project: Path) -> None:
    assert "no issues" in check(project)


@pytest.mark.parametrize("group", WEAKNESSES)
def test_each_weakness_is_reported_and_nothing_else(project: Path, group: str) -> None:
    (project / "mysite" / "own.py").write_text(OWN)
    weaknesses = WEAKNESSES[group]
    expected = set().union(*weaknesses.values())
    told = check(project, *weaknesses, fails=any(i.startswith("E") for i in expected))
    assert set(re.findall(r"\(security\.(\w+)\)", told)) == expected
    # It names the classes that this project can list.
    assert "django.middleware" not in told
    if group == "middleware":
        assert f"'{SECURITY}'" in told
        assert f"'{CSRF}' is not in your" in told
    if group == "settings":
        assert f"'{SECURITY}' in your MIDDLEWARE, but X_FRAME_OPTIONS" in told
